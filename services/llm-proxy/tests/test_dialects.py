"""The streams of known servers, by the shapes that they document, wherever their bytes are cut."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from voxmesh_llm_proxy.call_state import decode
from voxmesh_testing.llm_server import DONE, event, told_by

pytestmark = pytest.mark.unit

WEATHER = {"city": "Paris"}
TEXT = json.dumps(WEATHER)


@dataclass(frozen=True)
class Dialect:
    """What a server sends, and what it means."""

    body: bytes
    text: str = ""
    thoughts: str = ""
    calls: int = 0
    reason: str = "STOP"
    usage: tuple[int, int, int] = (0, 0, 0)
    state: dict[str, Any] | None = None
    """Unknown fields of the first call."""


def stream(*chunks: Any, done: bool = True, **common: Any) -> bytes:
    """Chunks with what all chunks of a server have in common."""
    fields = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", **common}
    return b"".join(event({**fields, **found}) for found in chunks) + (DONE if done else b"")


def choice(delta: Any, finish: Any = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **fields}]}


def call(arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "weather", "arguments": arguments}, **fields}


def usage(read: int, written: int, **fields: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **fields}}


DIALECTS = {
    "llama.cpp text": Dialect(
        stream(
            choice({"role": "assistant", "content": None}),
            choice({"content": "Hello"}),
            choice({"content": " there"}),
            choice({}, "stop"),
            {"choices": [], **usage(12, 2, prompt_tokens_details={"cached_tokens": 8}), "timings": {"cache_n": 8}},
            system_fingerprint="b7000-abc",
        ),
        text="Hello there",
        usage=(12, 2, 8),
    ),
    "llama.cpp thoughts and a call": Dialect(
        stream(
            choice({"role": "assistant", "content": None}),
            choice({"reasoning_content": "Hm."}),
            choice({"tool_calls": [call("", index=0, id="vJ1gAb2")]}),
            choice({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
            choice({"tool_calls": [{"index": 0, "function": {"arguments": ' "Paris"}'}}]}),
            choice({}, "tool_calls"),
        ),
        thoughts="Hm.",
        calls=1,
        reason="TOOL_CALLS",
    ),
    "vLLM text with counts in every chunk": Dialect(
        stream(
            {**choice({"role": "assistant", "content": ""}, logprobs=None), **usage(9, 0)},
            {**choice({"content": "Hello"}, logprobs=None, token_ids=None), **usage(9, 1)},
            {**choice({"content": ""}, "stop", stop_reason=None), **usage(9, 2)},
            {"choices": [], **usage(9, 2, prompt_tokens_details=None)},
        ),
        text="Hello",
        usage=(9, 2, 0),
    ),
    "vLLM thoughts and calls": Dialect(
        stream(
            choice({"role": "assistant", "content": ""}),
            choice({"reasoning": "Hm.", "reasoning_content": "Hm."}),
            choice({"tool_calls": [call("", index=0, id="chatcmpl-tool-1")]}),
            choice({"tool_calls": [{"index": 0, "function": {"arguments": TEXT}}]}),
            choice({"tool_calls": [call(TEXT, index=1, id="chatcmpl-tool-2")]}),
            choice({"content": ""}, "tool_calls", stop_reason=151645),
        ),
        thoughts="Hm.",
        calls=2,
        reason="TOOL_CALLS",
    ),
    "Ollama text": Dialect(
        stream(
            choice({"role": "assistant", "content": "Hello"}),
            choice({"role": "assistant", "content": " there"}),
            choice({"role": "assistant", "content": ""}, "stop"),
            {"choices": [], **usage(26, 3)},
            system_fingerprint="fp_ollama",
        ),
        text="Hello there",
        usage=(26, 3, 0),
    ),
    "Ollama call": Dialect(
        stream(
            choice({"role": "assistant", "content": "", "tool_calls": [call(TEXT, index=0, id="call_7gk2")]}),
            choice({"role": "assistant", "content": ""}, "tool_calls"),
        ),
        calls=1,
        reason="TOOL_CALLS",
    ),
    "Ollama calls of an older one, finished by stop": Dialect(
        stream(
            choice({"role": "assistant", "content": "", "tool_calls": [call(TEXT, id="call_1")]}),
            choice({"role": "assistant", "content": "", "tool_calls": [call(TEXT, id="call_2")]}),
            choice({"role": "assistant", "content": ""}, "stop"),
        ),
        calls=2,
        reason="TOOL_CALLS",
    ),
    "Azure text": Dialect(
        stream(
            {"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}], "model": ""},
            choice({"role": "assistant", "content": "", "refusal": None}, content_filter_results={}),
            choice({"content": "Hello"}, content_filter_results={"hate": {"filtered": False, "severity": "safe"}}),
            {
                "choices": [
                    {"index": 0, "finish_reason": None, "content_filter_offsets": {}, "content_filter_results": {}}
                ]
            },
            choice({}, "stop", content_filter_results={}),
            {"choices": [], **usage(8, 1, prompt_tokens_details={"audio_tokens": 0, "cached_tokens": 0})},
        ),
        text="Hello",
        usage=(8, 1, 0),
    ),
    "Azure filter": Dialect(
        stream(
            choice({"content": "Well"}),
            choice({}, "content_filter", content_filter_results={"violence": {"filtered": True, "severity": "high"}}),
        ),
        text="Well",
        reason="CONTENT_FILTER",
    ),
    "Azure whole call": Dialect(
        stream(
            choice({"role": "assistant", "content": None, "tool_calls": [call("", index=0, id="call_x")]}),
            choice({"tool_calls": [{"index": 0, "function": {"arguments": TEXT}}]}),
            choice({}, "tool_calls"),
        ),
        calls=1,
        reason="TOOL_CALLS",
    ),
    "Gemini text": Dialect(
        stream(
            choice({"role": "assistant", "content": "Hello"}),
            {**choice({"role": "assistant", "content": " there"}, "stop"), **usage(5, 2)},
        ),
        text="Hello there",
        usage=(5, 2, 0),
    ),
    "Gemini calls with signatures, all of number 0": Dialect(
        stream(
            choice(
                {
                    "role": "assistant",
                    "tool_calls": [
                        call(
                            TEXT, index=0, id="function-call-1", extra_content={"google": {"thought_signature": "c2ln"}}
                        )
                    ],
                }
            ),
            choice({"role": "assistant", "tool_calls": [call(TEXT, index=0, id="function-call-2")]}, "stop"),
        ),
        calls=2,
        reason="TOOL_CALLS",
        state={"extra_content": {"google": {"thought_signature": "c2ln"}}},
    ),
    "Gemini calls of an older one, without number and id": Dialect(
        stream(choice({"tool_calls": [call(TEXT, id=""), call(TEXT, id="")]}, "tool_calls")),
        calls=2,
        reason="TOOL_CALLS",
    ),
    "Mistral text": Dialect(
        stream(
            choice({"role": "assistant", "content": ""}),
            choice({"content": "Hello"}),
            {**choice({"content": ""}, "stop"), **usage(6, 1)},
            p="abcdef",
        ),
        text="Hello",
        usage=(6, 1, 0),
    ),
    "Mistral thoughts": Dialect(
        stream(
            choice({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}),
            choice({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": " So."}], "closed": True}]}),
            choice({"content": "Hello"}),
            choice({"content": [{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "!"}]}),
            choice({"content": ""}, "model_length"),
        ),
        text="Hello!",
        thoughts="Hm. So.",
        reason="LENGTH",
    ),
    "Mistral calls, whole": Dialect(
        stream(
            choice({"role": "assistant", "content": ""}),
            choice(
                {
                    "content": "",
                    "tool_calls": [
                        {"id": "D681PevKs", "function": {"name": "weather", "arguments": TEXT}, "index": 0},
                        {"id": "gEDtK0b1x", "function": {"name": "weather", "arguments": TEXT}, "index": 1},
                    ],
                },
                "tool_calls",
            ),
        ),
        calls=2,
        reason="TOOL_CALLS",
    ),
    "Together text": Dialect(
        stream(
            {
                "choices": [
                    {
                        "index": 0,
                        "text": "Hello",
                        "logprobs": None,
                        "finish_reason": None,
                        "delta": {"token_id": 9906, "role": "assistant", "content": "Hello", "tool_calls": None},
                    }
                ]
            },
            {
                "choices": [
                    {
                        "index": 0,
                        "text": "",
                        "seed": 1,
                        "finish_reason": "eos",
                        "delta": {"token_id": 2, "role": "assistant", "content": "", "tool_calls": None},
                    }
                ],
                **usage(4, 2),
            },
        ),
        text="Hello",
        usage=(4, 2, 0),
    ),
    "Together call": Dialect(
        stream(
            choice({"role": "assistant", "content": "", "tool_calls": [call("", index=0, id="call_a")]}),
            choice({"role": "assistant", "content": "", "tool_calls": [{"index": 0, "function": {"arguments": TEXT}}]}),
            choice({"role": "assistant", "content": ""}, "tool_calls"),
        ),
        calls=1,
        reason="TOOL_CALLS",
    ),
    "LiteLLM text": Dialect(
        stream(
            choice(
                {
                    "content": "Hello",
                    "role": "assistant",
                    "provider_specific_fields": None,
                    "function_call": None,
                    "tool_calls": None,
                    "audio": None,
                }
            ),
            choice({"content": None, "tool_calls": None}, "stop"),
            {**choice({}), **usage(3, 1, cache_read_input_tokens=0)},
            citations=None,
            service_tier=None,
        ),
        text="Hello",
        usage=(3, 1, 0),
    ),
    "LiteLLM call of another provider": Dialect(
        stream(
            choice({"content": "Let me see.", "role": "assistant"}),
            choice(
                {
                    "tool_calls": [call("", index=1, id="toolu_1", provider_specific_fields={"signature": "c2ln"})],
                    "function_call": None,
                }
            ),
            choice(
                {
                    "tool_calls": [
                        {"id": None, "type": "function", "index": 1, "function": {"name": None, "arguments": TEXT}}
                    ]
                }
            ),
            choice({}, "tool_calls"),
            done=True,
        ),
        text="Let me see.",
        calls=1,
        reason="TOOL_CALLS",
        state={"provider_specific_fields": {"signature": "c2ln"}},
    ),
    "LiteLLM sign of life": Dialect(
        b": litellm keep-alive\n\n" + stream(choice({"content": "Hello"}), choice({}, "stop"), done=False),
        text="Hello",
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_server_is_understood_wherever_its_bytes_are_cut(name: str) -> None:
    dialect = DIALECTS[name]
    for size in (len(dialect.body), 7, 64):
        pieces = [dialect.body[start : start + size] for start in range(0, len(dialect.body), size)]
        told = told_by(*pieces, tools=["weather"])
        assert (told.text, told.thoughts, told.reason) == (dialect.text, dialect.thoughts, dialect.reason)
        assert [(found.name, json.loads(found.arguments_json)) for found in told.calls] == [
            ("weather", WEATHER)
        ] * dialect.calls
        counted = told.usage
        assert (counted.input_tokens, counted.output_tokens, counted.cached_input_tokens) == dialect.usage
        if dialect.state is not None:
            assert decode(told.calls[0].upstream_state).of_call == dialect.state
