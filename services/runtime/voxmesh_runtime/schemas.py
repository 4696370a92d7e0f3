"""Judge values by JSON Schemas that strangers wrote; the service brings jsonschema-rs.

Schemas can name places of the network and patterns that take for ever: nothing is fetched, and patterns are matched
in linear time, so that neither the check nor the judgement depends on who wrote them.
"""

from __future__ import annotations

from typing import NoReturn

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from voxmesh_runtime.quoting import quote
from voxmesh_runtime.structs import Json

_MAX_QUOTED = 200


class Judge:
    """One schema of JSON Schema 2020-12.

    Raises:
        ValueError: it is none, or refers to another document; the message says where.
    """

    def __init__(self, schema: Json) -> None:
        self.schema = schema
        try:
            # A value may be what a person wrote: messages do not quote it.
            self._validator = Draft202012Validator(
                schema, retriever=_refuse, pattern_options=RegexOptions(), mask="the value"
            )
        except (ValidationError, ValueError) as error:
            raise ValueError(_line(error)) from None

    def fault(self, value: object) -> str:
        """Where a value breaks the schema, on one line; empty when it keeps it."""
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return ""
        path = "/".join(map(str, error.instance_path))
        return f"{path or 'the answer'}: {_line(error)}"


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"{quote(uri)} is another document; put it under $defs")


def _line(error: Exception) -> str:
    text = error.message if isinstance(error, ValidationError) else str(error)
    return quote(" ".join(text.split()), _MAX_QUOTED)[1:-1]
