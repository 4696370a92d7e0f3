"""The contract's messages, tools and sampling as the body of an OpenAI-compatible request."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.arguments import harmless, parse
from voxmesh_llm_proxy.bad_answer import schema_order
from voxmesh_llm_proxy.call_state import state_for
from voxmesh_llm_proxy.presets import PRESETS, Preset
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.shapes import thinking_fields
from voxmesh_llm_proxy.upstream_file import UpstreamSettings, single_upstream
from voxmesh_llm_proxy.validation import image_type
from voxmesh_runtime.control_tokens import strip_control_tokens
from voxmesh_runtime.schemas import Judge
from voxmesh_runtime.structs import Json, plain

_ROLES = {
    llm_pb2.Message.ROLE_USER: "user",
    llm_pb2.Message.ROLE_ASSISTANT: "assistant",
    llm_pb2.Message.ROLE_TOOL: "tool",
}


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """A stream's config, checked, in nobody's words."""

    config: llm_pb2.GenerationConfig = field(default_factory=llm_pb2.GenerationConfig)
    thinking: bool = False
    judge: Judge | None = None
    """Of the response schema, if there is one."""


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """A stream's config in one upstream's words."""

    model: str
    upstream: str = ""
    """Key of the upstream and model, which alone see again what they said of their tool calls."""
    thinking: bool = False
    fields: Json = field(default_factory=dict[str, Any])
    """Fields of every request of the stream."""
    order: str = ""
    """What the model is told besides, at the end of the system's message."""

    @property
    def habit(self) -> tuple[str, bool]:
        """What decides whether an answer begins with thoughts."""
        return self.model, self.thinking


def generation_options(
    config: llm_pb2.GenerationConfig,
    model: str,
    settings: LlmSettings,
    *,
    thinking: bool,
    upstream: UpstreamSettings | None = None,
) -> GenerationOptions:
    """The options of a config that has passed validation.

    Args:
        config: of the caller; unset fields take the service's settings.
        model: the upstream's name for it.
        settings: of the service.
        thinking: let the model think.
        upstream: whom the options are for; None is the one of the settings.
    """
    named = upstream or single_upstream(settings)
    fields: Json = {
        "stream": True,
        "stream_options": {"include_usage": True},
        **thinking_fields(named.shape, thinking=thinking),
        **_sampling(config.sampling, _defaults(config.sampling, named, settings), settings),
    }
    order = ""
    if config.HasField("response_schema"):
        schema = plain(config.response_schema)
        if named.grammar:
            fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        else:
            order = schema_order(schema)
    return GenerationOptions(model, upstream_key(named.base_url, model), thinking, fields, order)


def upstream_key(url: str | None, model: str) -> str:
    """The same in all services that ask one model of the server at a URL; tells nothing of either."""
    return hashlib.sha256(f"{url or ''} {model}".encode()).hexdigest()[:8]


def request_body(generate: llm_pb2.Generate, options: GenerationOptions) -> Json:
    """The body of the request for one generation."""
    messages = _messages(generate.messages, options)
    body: Json = {"model": options.model, "messages": messages, **options.fields}
    if generate.tools:
        body["tools"] = [_tool(tool) for tool in generate.tools]
    return body


def _defaults(sampling: llm_pb2.Sampling, named: UpstreamSettings, settings: LlmSettings) -> Preset:
    """Values of the sampling that the caller has not set: by a name, the nearest one that is given, or one by one."""
    name = sampling.preset or named.sampling_preset or settings.sampling_preset
    if name:
        return PRESETS[name]
    return Preset(settings.temperature, settings.top_p, settings.top_k, settings.presence_penalty)


def _sampling(sampling: llm_pb2.Sampling, default: Preset, settings: LlmSettings) -> Json:
    fields: Json = {
        "temperature": _short(sampling.temperature) if sampling.HasField("temperature") else default.temperature,
        "top_p": _short(sampling.top_p) if sampling.HasField("top_p") else default.top_p,
        "top_k": sampling.top_k if sampling.HasField("top_k") else default.top_k,
        "presence_penalty": (
            _short(sampling.presence_penalty) if sampling.HasField("presence_penalty") else default.presence_penalty
        ),
        "max_tokens": (
            sampling.max_output_tokens if sampling.HasField("max_output_tokens") else settings.max_output_tokens
        ),
    }
    if sampling.HasField("frequency_penalty"):
        fields["frequency_penalty"] = _short(sampling.frequency_penalty)
    if sampling.HasField("seed"):
        fields["seed"] = sampling.seed
    if sampling.stop_sequences:
        fields["stop"] = list(sampling.stop_sequences)
    return fields


def _short(value: float) -> float:
    """A 32-bit float without the digits that it gains as a 64-bit one: 0.7, not 0.699999988."""
    return round(value, 6)


def _messages(messages: Sequence[llm_pb2.Message], options: GenerationOptions) -> list[Json]:
    upstream = options.upstream
    # Templates know one system message; several at the beginning are one text to the model.
    system = [message.text for message in messages if message.role == llm_pb2.Message.ROLE_SYSTEM]
    system += [options.order] if options.order else []
    head = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    ids: dict[str, str] = {}
    others: list[Json] = []
    for message in messages:
        if message.role != llm_pb2.Message.ROLE_SYSTEM:
            ids |= _upstream_ids(message.tool_calls, upstream)
            others.append(_message(message, ids, upstream))
    return [*head, *others]


def _upstream_ids(calls: Sequence[llm_pb2.ToolCall], upstream: str) -> dict[str, str]:
    """The upstream's own id of each call of a message; ours where it gave none, or the same to two of them."""
    ids: dict[str, str] = {}
    for call in calls:
        state = state_for(upstream, call.upstream_state)
        own = state.call_id if state is not None else ""
        ids[call.call_id] = own if own and own not in ids.values() else call.call_id
    return ids


def _message(message: llm_pb2.Message, ids: Mapping[str, str], upstream: str) -> Json:
    body: Json = {"role": _ROLES[message.role], "content": _content(message)}
    if message.tool_calls:
        body["tool_calls"] = [_tool_call(call, ids[call.call_id], upstream) for call in message.tool_calls]
    if message.tool_call_id:
        body["tool_call_id"] = ids[message.tool_call_id]
    return body


def _content(message: llm_pb2.Message) -> str | list[Json]:
    if message.role == llm_pb2.Message.ROLE_ASSISTANT:
        return strip_control_tokens(message.text)
    if not message.images:
        return message.text
    parts: list[Json] = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in message.images]
    return [*parts, {"type": "text", "text": message.text}] if message.text else parts


def _data_url(image: bytes) -> str:
    return f"data:{image_type(image)};base64,{base64.b64encode(image).decode()}"


def _tool(tool: llm_pb2.Tool) -> Json:
    parameters = plain(tool.parameters) or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def _tool_call(call: llm_pb2.ToolCall, call_id: str, upstream: str) -> Json:
    function: Json = {"name": call.name, "arguments": _arguments(call)}
    state = state_for(upstream, call.upstream_state)
    if state is None:
        return {"id": call_id, "type": "function", "function": function}
    return {"id": call_id, "type": "function", **state.of_call, "function": {**function, **state.of_function}}


def _arguments(call: llm_pb2.ToolCall) -> str:
    if call.arguments_json:
        return harmless(parse(call.arguments_json))
    return json.dumps(plain(call.arguments), ensure_ascii=False)
