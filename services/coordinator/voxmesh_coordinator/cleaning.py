"""Take out of what models and tools wrote what no service would take: marks of chat templates, control characters."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf import struct_pb2

from voxmesh.llm.v1 import llm_pb2
from voxmesh_runtime.control_tokens import ControlTokenFilter, strip_control_tokens

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_OPENING = "<\uff5c"
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
MAX_NAME_CHARACTERS = 64


def cleaned(text: str) -> str:
    """A whole text without marks and control characters."""
    return strip_control_tokens(_CONTROL.sub("", text))


class Cleaner:
    """The same for a text that comes in pieces; what may be the beginning of a mark waits for the next piece."""

    def __init__(self) -> None:
        self._filter = ControlTokenFilter()

    def feed(self, text: str) -> str:
        """What is certain by now."""
        return self._filter.feed(_CONTROL.sub("", text))

    def flush(self) -> str:
        """The rest, at the end of the text."""
        return self._filter.flush()


def cleaned_call(call: llm_pb2.ToolCall) -> llm_pb2.ToolCall:
    """A call that every language model service takes; unchanged, to the letter of its arguments, if it is one."""
    kept = llm_pb2.ToolCall()
    kept.CopyFrom(call)
    kept.name = _NO_NAME.sub("_", call.name)[:MAX_NAME_CHARACTERS] or "_"
    if not _is_sound(call):
        parsed = _parsed(call.arguments_json)
        arguments = _sound(_plain_struct(call.arguments) if parsed is None else parsed)
        kept.arguments_json = json.dumps(arguments, ensure_ascii=False)
        kept.arguments.Clear()
        kept.arguments.update(arguments)
    return kept


def arguments_json(call: llm_pb2.ToolCall) -> str:
    """Arguments as JSON text: the model's own, or made of the Struct where a service gives no other."""
    return call.arguments_json or json.dumps(_plain_struct(call.arguments), ensure_ascii=False)


def _is_sound(call: llm_pb2.ToolCall) -> bool:
    arguments = _parsed(call.arguments_json) if call.arguments_json else {}
    if arguments is None:
        return False
    texts = (call.arguments_json, _dumped(arguments), _dumped(_plain_struct(call.arguments)))
    return all(text is not None and _is_harmless(text) for text in texts)


def _is_harmless(text: str) -> bool:
    """JSON text without a mark, and without the opening of one that may hold what stands between two arguments."""
    return _OPENING not in text and text == strip_control_tokens(text)


def _parsed(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None if it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType] # JSON keys are str


def _dumped(value: dict[str, Any]) -> str | None:
    """JSON text; None where there is none, as for an infinite number."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return None


def _sound(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments without marks, even such as only stand together in their JSON text, and without infinite numbers."""
    for clean in (cleaned, _without_openings):
        arguments = {clean(name): _sound_value(value, clean) for name, value in arguments.items()}
        text = _dumped(arguments)
        if text is not None and _is_harmless(text):
            return arguments
    return {}


def _without_openings(text: str) -> str:
    return cleaned(text).replace("<", "")


def _sound_value(value: Any, clean: Callable[[str], str]) -> Any:
    match value:
        case str():
            return clean(value)
        case bool() | None:
            return value
        case int() | float():
            return value if _is_finite(value) else None
        case list():
            return [_sound_value(each, clean) for each in value]  # pyright: ignore[reportUnknownVariableType] # JSON
        case _:
            return {clean(name): _sound_value(each, clean) for name, each in value.items()}


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


def _plain_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    # A Struct has no order of its own, and a replica is to make the same text of it.
    return {name: _plain(struct.fields[name]) for name in sorted(struct.fields)}


def _plain(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _plain_struct(value.struct_value)
        case "list_value":
            return [_plain(each) for each in value.list_value.values]
        case _:
            return None
