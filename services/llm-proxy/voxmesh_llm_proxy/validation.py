"""Check configs and generations against the contract before the upstream sees anything of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from google.protobuf import json_format, struct_pb2

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy import arguments
from voxmesh_llm_proxy.presets import PRESETS
from voxmesh_runtime.control_tokens import refuse_control_tokens
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.quoting import quote
from voxmesh_runtime.schemas import Judge
from voxmesh_runtime.structs import plain

MAX_MESSAGES = 1_000
MAX_TEXT_CHARACTERS = 200_000
MAX_IMAGES = 8
MAX_TOOLS = 128
MAX_DESCRIPTION_CHARACTERS = 8_000
MAX_SCHEMA_CHARACTERS = 100_000
MAX_STOP_SEQUENCES = 4
MAX_STOP_CHARACTERS = 200
MAX_PURPOSE_CHARACTERS = 100

Role = llm_pb2.Message.Role

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CALL_ID = re.compile(r"[\x21-\x7e]{1,128}")


def check_sampling(sampling: llm_pb2.Sampling, max_output_tokens_limit: int) -> None:
    """Refuse values outside their ranges.

    Raises:
        InvalidArgument: names the field and its range.
    """
    _check_range(sampling, "temperature", 0, 2)
    _check_range(sampling, "presence_penalty", -2, 2)
    _check_range(sampling, "frequency_penalty", -2, 2)
    _check_range(sampling, "max_output_tokens", 1, max_output_tokens_limit)
    if sampling.HasField("top_p") and not 0 < sampling.top_p <= 1:
        raise InvalidArgument("config.sampling.top_p", f"must be above 0 and at most 1, not {sampling.top_p:g}")
    if sampling.HasField("top_k") and sampling.top_k < 1:
        raise InvalidArgument("config.sampling.top_k", f"must be at least 1, not {sampling.top_k}")
    if sampling.preset and sampling.preset not in PRESETS:
        problem = f"{quote(sampling.preset)} is no preset; there are {', '.join(PRESETS)}"
        raise InvalidArgument("config.sampling.preset", problem)
    _check_stop_sequences(sampling.stop_sequences)


def checked_judge(field: str, schema: struct_pb2.Struct) -> Judge:
    """The judge of answers that must keep a schema.

    Raises:
        InvalidArgument: as `check_schema`, or it is no JSON Schema; names `field`.
    """
    check_schema(field, schema)
    try:
        return Judge(plain(schema))
    except ValueError as error:
        raise InvalidArgument(field, f"is no JSON Schema: {error}") from None


def check_schema(field: str, schema: struct_pb2.Struct) -> None:
    """Refuse a JSON Schema that is too long or holds control tokens or numbers that JSON has not.

    Raises:
        InvalidArgument: names `field`.
    """
    text = _json(field, schema)
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise InvalidArgument(field, f"{len(text)} characters are too many; at most {MAX_SCHEMA_CHARACTERS}")
    refuse_control_tokens(field, text)


def check_generate(generate: llm_pb2.Generate, name: str = "generate") -> None:
    """Refuse messages and tools that break the contract; `name` is the field that holds them.

    Raises:
        InvalidArgument: names the field, such as `generate.messages[2].text`, and the limit.
    """
    _check_tools(f"{name}.tools", generate.tools)
    messages = generate.messages
    if not 1 <= len(messages) <= MAX_MESSAGES:
        raise InvalidArgument(f"{name}.messages", f"must hold 1 to {MAX_MESSAGES} messages, not {len(messages)}")
    calls: set[str] = set()
    for index, message in enumerate(messages):
        field = f"{name}.messages[{index}]"
        _check_message(field, message)
        _check_tool_calls(field, message, calls)
    _check_order(f"{name}.messages", messages, is_answered=name == "generate")
    images = sum(len(message.images) for message in messages)
    if images > MAX_IMAGES:
        raise InvalidArgument(f"{name}.messages", f"{images} images are too many; at most {MAX_IMAGES} in all")


def image_type(data: bytes) -> str | None:
    """The media type of an image file; None when it is no PNG, JPEG or WebP file."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _check_range(sampling: llm_pb2.Sampling, name: str, least: float, most: float) -> None:
    value: float = getattr(sampling, name)
    # NaN is in no range.
    if sampling.HasField(name) and not least <= value <= most:  # pyright: ignore[reportArgumentType] # a field's name
        raise InvalidArgument(f"config.sampling.{name}", f"must be {least:g} to {most:g}, not {value:g}")


def _check_stop_sequences(texts: Sequence[str]) -> None:
    field = "config.sampling.stop_sequences"
    if len(texts) > MAX_STOP_SEQUENCES:
        raise InvalidArgument(field, f"{len(texts)} are too many; at most {MAX_STOP_SEQUENCES}")
    for index, text in enumerate(texts):
        if not 1 <= len(text) <= MAX_STOP_CHARACTERS:
            raise InvalidArgument(f"{field}[{index}]", f"must have 1 to {MAX_STOP_CHARACTERS} characters")


def _check_tools(tools_field: str, tools: Sequence[llm_pb2.Tool]) -> None:
    if len(tools) > MAX_TOOLS:
        raise InvalidArgument(tools_field, f"{len(tools)} tools are too many; at most {MAX_TOOLS}")
    names: set[str] = set()
    for index, tool in enumerate(tools):
        field = f"{tools_field}[{index}]"
        _check_name(f"{field}.name", tool.name)
        if tool.name in names:
            raise InvalidArgument(f"{field}.name", f"{tool.name!r} is taken by an earlier tool; names must be unique")
        names.add(tool.name)
        _check_text(f"{field}.description", tool.description, MAX_DESCRIPTION_CHARACTERS)
        check_schema(f"{field}.parameters", tool.parameters)


def _check_message(field: str, message: llm_pb2.Message) -> None:
    if message.role not in Role.values() or message.role == Role.Value("ROLE_UNSPECIFIED"):
        raise InvalidArgument(f"{field}.role", f"must be system, user, assistant or tool, not {message.role}")
    # What a model wrote is cleaned instead: nothing that it writes may make a conversation unusable.
    is_written = message.role == llm_pb2.Message.ROLE_ASSISTANT
    _check_text(f"{field}.text", message.text, MAX_TEXT_CHARACTERS, refuse_marks=not is_written)
    if message.images and message.role != llm_pb2.Message.ROLE_USER:
        raise InvalidArgument(f"{field}.images", "only a user message may hold images")
    for index, image in enumerate(message.images):
        if image_type(image) is None:
            raise InvalidArgument(f"{field}.images[{index}]", "must be a PNG, JPEG or WebP file")
    may_be_empty = message.role == llm_pb2.Message.ROLE_TOOL or message.images or message.tool_calls
    if not message.text.strip() and not may_be_empty:
        raise InvalidArgument(f"{field}.text", "must not be empty")


def _check_tool_calls(field: str, message: llm_pb2.Message, calls: set[str]) -> None:
    """Check the calls that `message` makes or answers; `calls` are those made so far."""
    if message.tool_calls and message.role != llm_pb2.Message.ROLE_ASSISTANT:
        raise InvalidArgument(f"{field}.tool_calls", "only an assistant message may hold tool calls")
    for index, call in enumerate(message.tool_calls):
        path = f"{field}.tool_calls[{index}]"
        _check_name(f"{path}.name", call.name)
        _check_arguments(path, call)
        if not _CALL_ID.fullmatch(call.call_id):
            raise InvalidArgument(f"{path}.call_id", "must have 1 to 128 printable ASCII characters without spaces")
        refuse_control_tokens(f"{path}.call_id", call.call_id)
        calls.add(call.call_id)
    if message.role == llm_pb2.Message.ROLE_TOOL:
        if message.tool_call_id not in calls:
            raise InvalidArgument(f"{field}.tool_call_id", "must name a call of an assistant message before it")
    elif message.tool_call_id:
        raise InvalidArgument(f"{field}.tool_call_id", "only a tool message answers a call")


def _check_arguments(path: str, call: llm_pb2.ToolCall) -> None:
    if not call.arguments_json:
        _check_text(f"{path}.arguments", _json(f"{path}.arguments", call.arguments), MAX_TEXT_CHARACTERS)
        return
    field = f"{path}.arguments_json"
    _check_text(field, call.arguments_json, MAX_TEXT_CHARACTERS, refuse_marks=False)
    try:
        arguments.parse(call.arguments_json)
    except ValueError:
        limit = f"of at most {arguments.MAX_DEPTH} levels"
        raise InvalidArgument(field, f"must be one JSON object {limit}, as the service sent it") from None


def _check_order(messages_field: str, messages: Sequence[llm_pb2.Message], *, is_answered: bool) -> None:
    others = False
    for index, message in enumerate(messages):
        if message.role == llm_pb2.Message.ROLE_SYSTEM and others:
            raise InvalidArgument(f"{messages_field}[{index}].role", "system messages must come before all others")
        others = others or message.role != llm_pb2.Message.ROLE_SYSTEM
    if is_answered and messages[-1].role == llm_pb2.Message.ROLE_ASSISTANT:
        field = f"{messages_field}[{len(messages) - 1}].role"
        raise InvalidArgument(field, "the last message must not be the assistant's; there is nothing to answer")


def _check_name(field: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidArgument(field, "must have 1 to 64 letters, digits, _ or -")


def _check_text(field: str, text: str, limit: int, *, refuse_marks: bool = True) -> None:
    if len(text) > limit:
        raise InvalidArgument(field, f"{len(text)} characters are too many; at most {limit}")
    if "\x00" in text:
        raise InvalidArgument(field, "must not hold NUL characters")
    if refuse_marks:
        refuse_control_tokens(field, text)


def _json(field: str, struct: struct_pb2.Struct) -> str:
    """A Struct as JSON text, for the model and for limits."""
    try:
        return json.dumps(plain(struct), ensure_ascii=False, allow_nan=False)
    except (json_format.SerializeToJsonError, ValueError, RecursionError):
        raise InvalidArgument(field, "holds a number or a depth that JSON has not") from None
