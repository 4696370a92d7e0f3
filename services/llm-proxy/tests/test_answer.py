"""What the events of an answer become: every word once, a reason at every end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable, VoxmeshError
from voxmesh_testing.llm_server import DONE, chunk, event, told_by

pytestmark = pytest.mark.unit

STOP = (chunk({}, "stop"), DONE)


def content(value: Any) -> bytes:
    return chunk({"content": value})


TEXTS: dict[str, tuple[list[bytes], str, str]] = {
    "L4 pings and empty lines": ([b"event: ping\n\ndata:\n\n: ping\n\n", content("Hi"), *STOP], "Hi", ""),
    "L4 words that are no JSON": ([b"data: ping\n\n", content("Hi"), b"data: PROCESSING\n\n", *STOP], "Hi", ""),
    "L5 done without a reason": ([content("Hi"), DONE], "Hi", ""),
    "L5 a reason without done": ([content("Hi"), chunk({}, "stop")], "Hi", ""),
    "L5 words after the end": ([content("Hi"), DONE, content("Hi")], "Hi", ""),
    "L6 parts": ([content([{"type": "text", "text": "Hi "}, "there", {"text": "!"}]), *STOP], "Hi there!", ""),
    "L6 thinking parts": (
        [
            content([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]),
            content([{"type": "thinking", "thinking": "So."}, {"type": "text", "text": "Hi"}]),
            *STOP,
        ],
        "Hi",
        "Hm.So.",
    ),
    "L6 a part that is no list": ([content({"type": "text", "text": {"value": "Hi"}}), *STOP], "Hi", ""),
    "L6 a number": ([content(42), *STOP], "42", ""),
    "L6 pictures among the parts": (
        [content([{"type": "image_url", "image_url": {"url": "x"}}, "Hi"]), *STOP],
        "Hi",
        "",
    ),
    "L7 a pair in two deltas": ([content("Hi \ud83d"), content("\ude00!"), *STOP], "Hi 😀!", ""),
    "L7 a half alone": ([content("Hi \ud83d"), content("!"), *STOP], "Hi \ufffd!", ""),
    "L7 a half at the end": ([content("Hi \ud83d"), *STOP], "Hi \ufffd", ""),
    "L7 a half of a thought": ([chunk({"reasoning": "Hm\ude00"}), content("Hi"), *STOP], "Hi", "Hm\ufffd"),
    "L7 a pair of thoughts": (
        [chunk({"reasoning_content": "\ud83d"}), chunk({"reasoning_content": "\ude00"}), content("Hi"), *STOP],
        "Hi",
        "😀",
    ),
    "C2 a mark in two deltas": ([content("Paris.<|im"), content("_end|>"), *STOP], "Paris.", ""),
    "C2 half a mark at the end": ([content("a < b <|im"), *STOP], "a < b <|im", ""),
    "C7 a refusal is said": ([chunk({"refusal": "I can"}), chunk({"refusal": "not."}), *STOP], "I cannot.", ""),
    "thoughts in two fields": (
        [chunk({"reasoning": "Hm.", "reasoning_content": "Hm."}), content("Hi"), *STOP],
        "Hi",
        "Hm.",
    ),
    "nulls": (
        [
            b"data: null\n\n",
            event({"choices": None, "usage": None, "model": None, "error": None}),
            event({"choices": [None, {"delta": None, "finish_reason": None}]}),
            chunk({"content": None, "tool_calls": None, "reasoning": None, "refusal": None, "function_call": None}),
            content("Hi"),
            *STOP,
        ],
        "Hi",
        "",
    ),
    "other choices": (
        [event({"choices": [{"index": 1, "delta": {"content": "No"}}]}), content("Hi"), *STOP],
        "Hi",
        "",
    ),
    "a choice that is no list": ([event({"choices": {"delta": {"content": "Hi"}, "finish_reason": "stop"}})], "Hi", ""),
    "a delta that is a text": ([event({"choices": [{"delta": "Hi", "finish_reason": "stop"}]})], "Hi", ""),
    "events in a list": ([event([{"choices": [{"delta": {"content": "Hi"}}]}, None]), *STOP], "Hi", ""),
    "a whole message at the end": (
        [
            content("Hi "),
            content("there"),
            event({"choices": [{"delta": {}, "message": {"content": "Hi there"}}]}),
            *STOP,
        ],
        "Hi there",
        "",
    ),
    "a whole message that knows more": (
        [content("Hi "), event({"choices": [{"message": {"content": "Hi there"}, "finish_reason": "stop"}]})],
        "Hi there",
        "",
    ),
    "a message alone": ([event({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})], "Hi", ""),
    "the text of old completions": ([event({"choices": [{"text": "Hi", "finish_reason": "stop"}]})], "Hi", ""),
    "the last event without its end": ([content("Hi"), chunk({}, "stop").rstrip()], "Hi", ""),
    "control characters": ([content("a\x00b\x1f"), *STOP], "a\x00b\x1f", ""),
}


@pytest.mark.parametrize("case", TEXTS)
def test_every_word_is_told_once(case: str) -> None:
    pieces, text, thoughts = TEXTS[case]
    answer = told_by(*pieces)
    assert (answer.text, answer.thoughts, answer.reason) == (text, thoughts, "STOP")


def test_an_answer_that_is_no_stream_is_an_answer() -> None:
    body = {"object": "chat.completion", "model": "big", "choices": [{"message": {"content": "Hi"}}], "usage": {}}
    data = json.dumps(body).encode()
    answer = told_by(data[:20], data[20:], content_type="application/json; charset=utf-8")
    assert (answer.text, answer.model, answer.reason) == ("Hi", "big", "STOP")


REASONS = {
    "stop": "STOP",
    "STOP": "STOP",
    "eos": "STOP",
    "end_turn": "STOP",
    "whatever comes": "STOP",
    "length": "LENGTH",
    "MAX_TOKENS": "LENGTH",
    "model_length": "LENGTH",
    "content_filter": "CONTENT_FILTER",
    "SAFETY": "CONTENT_FILTER",
    "refusal": "CONTENT_FILTER",
}


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_are_told_in_the_contracts_words(reason: str) -> None:
    assert told_by(content("Hi"), chunk({}, reason), DONE).reason == REASONS[reason]


@pytest.mark.parametrize("finish", ["", "null", None, [], {}])
def test_a_reason_that_says_nothing_is_none(finish: Any) -> None:
    assert told_by(chunk({"content": "Hi"}, finish), chunk({"content": "!"}, "length")).text == "Hi!"
    with pytest.raises(Unavailable, match="without a reason"):
        told_by(chunk({"content": "Hi"}, finish))


def test_a_reason_may_be_an_object() -> None:
    assert told_by(chunk({"content": "Hi"}, {"type": "max_tokens"})).reason == "LENGTH"


CUT = {
    "L5 neither reason nor done": [content("Hi")],
    "L5 nothing": [],
    "L5 cut in an event": [content("Hi"), chunk({}, "stop")[:-12]],
    "the server failed": [content("Hi"), chunk({}, "error"), DONE],
    "the server gave it up": [content("Hi"), chunk({}, "abort"), DONE],
    "the model's call is broken": [chunk({}, "MALFORMED_FUNCTION_CALL"), DONE],
    "JSON that is cut": [content("Hi"), b'data: {"choices": [{"delta"\n\n', *STOP],
}


@pytest.mark.parametrize("case", CUT)
def test_an_answer_that_is_cut_is_an_error(case: str) -> None:
    with pytest.raises(Unavailable):
        told_by(*CUT[case])


ERRORS: dict[str, tuple[Any, type[VoxmeshError], str]] = {
    "L8 context, OpenAI": (
        {"error": {"message": "maximum context length is 8192", "code": "context_length_exceeded"}},
        InvalidArgument,
        "8192",
    ),
    "L8 context, llama.cpp": (
        {"error": {"code": 400, "message": "too many tokens", "type": "exceed_context_size_error", "n_ctx": 2048}},
        InvalidArgument,
        "generate.messages",
    ),
    "L8 context, vLLM": (
        {"object": "error", "message": "maximum context length is 8192", "type": "BadRequestError", "code": 400},
        InvalidArgument,
        "8192",
    ),
    "L8 rate limit": (
        {"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}},
        Overloaded,
        "slow down",
    ),
    "L8 rate limit by number": ({"error": {"message": "slow down", "code": 429}}, Overloaded, "slow down"),
    "L8 rate limit as a text of digits": ({"error": {"message": "slow down", "code": "429"}}, Overloaded, "slow"),
    "L8 rate limit in a list": (
        [{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}],
        Overloaded,
        "quota",
    ),
    "L8 key": ({"error": {"message": "bad key", "type": "authentication_error"}}, FailedPrecondition, "API_KEY"),
    "L8 key by number": ({"error": {"message": "no", "code": 401}}, FailedPrecondition, "API_KEY"),
    "L8 model": ({"error": {"message": "no", "code": "model_not_found"}}, FailedPrecondition, "'big'"),
    "L8 server": ({"error": {"message": "boom", "type": "server_error"}}, Unavailable, "boom"),
    "L8 server by number": ({"error": {"message": "boom", "code": 500}}, Unavailable, "boom"),
    "L8 a text": ({"error": "boom"}, Unavailable, "boom"),
    "L8 an empty object with a code": ({"error": {"code": 503}}, Unavailable, "503"),
    "L8 beside choices": ({"error": {"message": "boom"}, "choices": [{"finish_reason": "error"}]}, Unavailable, "boom"),
    "L8 detail": ({"detail": [{"loc": ["body", "messages"], "msg": "bad"}]}, Unavailable, "body.messages: bad"),
    "L8 request": ({"error": {"message": "no such role", "type": "invalid_request_error"}}, InvalidArgument, "role"),
    "L8 a list of texts": ({"error": ["boom", "bang"]}, Unavailable, "boom; bang"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_l8_an_error_in_a_stream_is_judged_by_what_it_says(case: str) -> None:
    body, kind, words = ERRORS[case]
    with pytest.raises(kind) as caught:
        told_by(content("Hi"), event(body), DONE)
    assert words in str(caught.value)


def test_l8_an_error_may_be_told_by_the_events_name() -> None:
    for data in (
        b'event: error\ndata: {"message": "boom"}\n\n',
        b"event: error\ndata: boom\n\n",
        b'error: {"message": "boom"}\n\n',
    ):
        with pytest.raises(Unavailable, match="boom"):
            told_by(content("Hi"), data)


def test_c7_a_filter_that_speaks_by_an_error_ends_the_answer() -> None:
    answer = told_by(content("Hi"), event({"error": {"code": "content_filter", "message": "filtered"}}))
    assert (answer.text, answer.reason) == ("Hi", "CONTENT_FILTER")


USAGES: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "OpenAI": ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}, (7, 3, 2)),
    "DeepSeek": ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_cache_hit_tokens": 5}, (7, 3, 5)),
    "other names": ({"input_tokens": 7, "output_tokens": 3}, (7, 3, 0)),
    "texts and floats": ({"prompt_tokens": "7", "completion_tokens": 3.0}, (7, 3, 0)),
    "nonsense": ({"prompt_tokens": None, "completion_tokens": [3], "prompt_tokens_details": []}, (0, 0, 0)),
    "no number of tokens": (
        {"prompt_tokens": -7, "completion_tokens": 10**30, "cached_tokens": True},
        (0, 2**31 - 1, 0),
    ),
    "a list": ([1], (0, 0, 0)),
}


@pytest.mark.parametrize("case", USAGES)
def test_counts_are_read_as_far_as_they_are_counts(case: str) -> None:
    usage, expected = USAGES[case]
    told = told_by(content("Hi"), event({"choices": [], "usage": usage}), event({"usage": None}), *STOP).usage
    assert (told.input_tokens, told.output_tokens, told.cached_input_tokens) == expected
