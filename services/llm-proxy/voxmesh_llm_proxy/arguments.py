"""Arguments of tool calls: the exact JSON text that the model wrote, and as much of it as a Struct can hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from google.protobuf import json_format, struct_pb2

from voxmesh_runtime.chat.surrogates import joined
from voxmesh_runtime.control_tokens import strip_control_tokens
from voxmesh_runtime.structs import Json

MAX_DEPTH = 100

_MAX_STRUCT_DEPTH = 24
"""Protobuf reads no message deeper than 100, and each level of a Struct takes three."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call."""

    text: str
    """JSON of one object."""
    value: Json
    has_double_names: bool = False
    """A name stands twice in an object; `value` has the last."""


def parse(text: str) -> Arguments:
    """Arguments that are JSON by the letter.

    Raises:
        ValueError: they are no JSON object, or one of more than `MAX_DEPTH` levels.
    """
    doubled: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> Json:
        found = dict(pairs)
        if len(found) < len(pairs):
            doubled.append("")
        return found

    try:
        value = json.loads(text, object_pairs_hook=collect, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("it is no object")  # noqa: TRY004 # a fault of the data
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError("it is nested too deep")
    return Arguments(text, value, bool(doubled))


def parse_written(text: str) -> Arguments:
    """Arguments as models write them: none at all, or with line breaks in a text.

    Raises:
        ValueError: they are no JSON object.
    """
    text = joined(text).strip()
    if text in {"", "null"}:
        return Arguments("{}", {})
    try:
        return parse(text)
    except json.JSONDecodeError:
        value = json.loads(text, strict=False, parse_constant=_no_constant)
        return parse(joined(json.dumps(value, ensure_ascii=False)))


def struct_of(value: Json) -> struct_pb2.Struct:
    """The value as a Struct; what a Struct cannot hold, too long or too deep, stands in it as text."""
    return json_format.ParseDict(_held(value, _MAX_STRUCT_DEPTH), struct_pb2.Struct())


def harmless(arguments: Arguments) -> str:
    """The text for the upstream: exact, but for marks of its template and for names that stand twice."""
    told = json.dumps(arguments.value, ensure_ascii=False)
    is_clean = strip_control_tokens(told) == told
    return arguments.text if is_clean and not arguments.has_double_names else json.dumps(_cleaned(arguments.value))


def _held(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return joined(value)
    if isinstance(value, dict | list) and depth == 0:
        return joined(json.dumps(value, ensure_ascii=False))
    if isinstance(value, dict):
        return {joined(name): _held(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_held(item, depth - 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1023:  # noqa: PLR2004 # of a double
        return str(value)
    return str(value) if value in {float("inf"), float("-inf")} else value


def _is_deeper(value: Any, limit: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_is_deeper(item, limit - 1) for item in items)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return strip_control_tokens(value)
    if isinstance(value, dict):
        return {strip_control_tokens(name): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
