"""JSON Schemas of strangers: refused where they are none, and the judge of what a model answers."""

from __future__ import annotations

import json

from google.protobuf import json_format, struct_pb2

from voxmesh_runtime.control_tokens import refuse_control_tokens
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.quoting import quote
from voxmesh_runtime.refusals import check_count
from voxmesh_runtime.schemas import Judge
from voxmesh_runtime.structs import Json, plain

MAX_SCHEMA_CHARACTERS = 100_000


def checked_schema(field: str, struct: struct_pb2.Struct) -> Json:
    """The schema in a field, of objects: an answer travels as one.

    Raises:
        InvalidArgument: it is too long, is no schema of JSON Schema 2020-12, refers to another document, or is of
            something that is no object.
    """
    schema = _of_objects(field, _plain(field, struct))
    try:
        Judge(schema)
    except ValueError as error:
        raise InvalidArgument(field, f"is no JSON Schema: {error}") from None
    return schema


def fault(schema: Json, value: object) -> str:
    """Where a value breaks a schema that was checked, on one line; "" if it keeps it."""
    return Judge(schema).fault(value)


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
