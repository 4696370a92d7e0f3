"""JSON Schemas of strangers: refused where they are none, and the judge of what a model answers.

Schemas can name places of the network and patterns that take for ever: nothing is fetched, and patterns are matched
in linear time, so that neither the check nor the judgement depends on who wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NoReturn

from google.protobuf import json_format, struct_pb2
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from voxmesh_runtime.control_tokens import refuse_control_tokens
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.quoting import quote
from voxmesh_runtime.refusals import check_count
from voxmesh_runtime.structs import Json, plain

MAX_SCHEMA_CHARACTERS = 100_000
_MAX_QUOTED = 200


def checked_schema(field: str, struct: struct_pb2.Struct) -> Json:
    """The schema in a field, of objects: an answer travels as one.

    Raises:
        InvalidArgument: it is too long, is no schema of JSON Schema 2020-12, refers to another document, or is of
            something that is no object.
    """
    schema = _of_objects(field, _plain(field, struct))
    try:
        _validator(schema)
    except (ValidationError, ValueError) as error:
        raise InvalidArgument(field, f"is no JSON Schema: {_line(error)}") from None
    return schema


def fault(schema: Json, value: object) -> str:
    """Where a value breaks a schema that was checked, on one line; "" if it keeps it."""
    error = next(iter(_validator(schema).iter_errors(value)), None)
    if error is None:
        return ""
    path = "/".join(map(str, error.instance_path))
    return f"{path or 'the answer'}: {_line(error)}"


def _plain(field: str, struct: struct_pb2.Struct) -> Json:
    try:
        schema = plain(struct)
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except (json_format.SerializeToJsonError, ValueError, RecursionError):
        raise InvalidArgument(field, "holds a number or a depth that JSON has not") from None
    check_count(field, len(text), MAX_SCHEMA_CHARACTERS)
    refuse_control_tokens(field, text)
    return schema


def _of_objects(field: str, schema: Json) -> Json:
    kinds = schema.get("type", "object")
    if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
        problem = f'must be "object", not {quote(json.dumps(kinds))}; make what you want a property of one'
        raise InvalidArgument(f"{field}.type", problem)
    return {**schema, "type": "object"}


def _validator(schema: Json) -> Draft202012Validator:
    # A value may be what a person wrote: messages do not quote it.
    return Draft202012Validator(schema, retriever=_refuse, pattern_options=RegexOptions(), mask="the value")


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"{quote(uri)} is another document; put it under $defs")


def _line(error: Exception) -> str:
    words: Iterable[str] = (error.message if isinstance(error, ValidationError) else str(error)).split()
    return quote(" ".join(words), _MAX_QUOTED)[1:-1]
