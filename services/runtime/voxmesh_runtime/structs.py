"""JSON values that travel as protobuf Structs, whose numbers are all floating point."""

from __future__ import annotations

from typing import Any, TypeAlias

from google.protobuf import json_format, struct_pb2

Json: TypeAlias = dict[str, Any]

_EXACT = 2**53
"""Above this a float stands for several integers."""


def plain(struct: struct_pb2.Struct) -> Json:
    """The value, sorted, with whole numbers as integers: models and schema validators tell 2 from 2.0.

    Raises:
        SerializeToJsonError: it holds a number that JSON has not.
        RecursionError: it is too deep.
    """
    value: Json = _whole(json_format.MessageToDict(struct))
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        # A Struct keeps no order of its own; a stable one lets the upstream find the prompt in its cache.
        return {name: _whole(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    is_whole = isinstance(value, float) and abs(value) <= _EXACT and value.is_integer()
    return int(value) if is_whole else value
