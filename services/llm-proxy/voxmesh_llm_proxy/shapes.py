"""What kinds of OpenAI-compatible servers there are, and which fields of a request each of them knows.

any        nothing is known: every field is sent, and those that it refuses are left out from then on
llama_cpp  llama-server; thinking is a variable of the chat template, and it tokenizes
vllm       the same; it tells tokens of whole conversations
ollama     knows the fields that its documents list; thinking is an effort
openai     knows the fields of OpenAI alone, and refuses others
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from voxmesh_runtime.structs import Json


class Shape(StrEnum):
    """What kind of server an upstream is."""

    ANY = "any"
    LLAMA_CPP = "llama_cpp"
    VLLM = "vllm"
    OLLAMA = "ollama"
    OPENAI = "openai"


_UNKNOWN: Mapping[Shape, frozenset[str]] = {
    Shape.OLLAMA: frozenset({"chat_template_kwargs", "top_k"}),
    Shape.OPENAI: frozenset({"chat_template_kwargs", "top_k", "max_tokens"}),
}


def unknown_fields(shape: Shape) -> frozenset[str]:
    """Optional fields that such a server does not know."""
    return _UNKNOWN.get(shape, frozenset())


def has_thinking_switch(shape: Shape) -> bool:
    """True when a request can keep the model of such a server from thinking."""
    return shape is not Shape.OPENAI


def thinking_fields(shape: Shape, *, thinking: bool) -> Json:
    """Fields that let a model think or keep it from it; none where the server has no switch."""
    match shape:
        case Shape.OPENAI:
            return {}
        case Shape.OLLAMA:
            return {"reasoning_effort": "medium" if thinking else "none"}
        case _:
            return {"chat_template_kwargs": {"enable_thinking": thinking}}
