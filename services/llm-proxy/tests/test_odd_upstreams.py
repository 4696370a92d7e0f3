"""The service in front of servers that send what only some servers send: one smoke test for each kind."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.endpoint import RemoteEndpoint
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_testing.llm import generate, tool, user, written
from voxmesh_testing.llm_server import DONE, Play, RecordedUpstream, chunk, event, recorded_upstream, text
from voxmesh_testing.streams import Exchange, exchange, serving

pytestmark = pytest.mark.server

Finished = llm_pb2.Finished
Message = llm_pb2.Message
STOP = chunk({}, "stop")
CALLS = [
    {
        "id": "f" * 900,
        "extra_content": {"signature": "c2ln"},
        "function": {"name": "get_time", "arguments": '{"n":17}'},
    },
    {"id": "f" * 900, "function": {"name": "get_time", "arguments": {"n": 2**70}}},
]


@asynccontextmanager
async def stream_to(*plays: Play, **settings: Any) -> AsyncGenerator[tuple[Exchange[Any, Any], RecordedUpstream]]:
    """A stream that is ready, to an upstream that plays `plays` from its start."""
    async with recorded_upstream() as upstream:
        upstream.play(*plays)
        values: dict[str, Any] = {"retry_max_wait_s": 0.2, "upstream_url": upstream.url, **settings}
        service = LlmService(RemoteEndpoint(upstream.url, LlmSettings(**values)), LlmSettings(**values))
        async with serving(service, LlmSettings(**values)) as (channel, _):
            method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
            config = llm_pb2.GenerationConfig(sampling=llm_pb2.Sampling(temperature=0.5))
            opening = llm_pb2.StreamingGenerateRequest(config=config)
            async with exchange(method, opening) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
                await stream.until("ready")
                yield stream, upstream


def raw(*pieces: bytes, **fields: Any) -> Play:
    return Play(raw=pieces, **fields)


FIRST = raw(chunk({"content": "Hi"}), STOP, DONE)
"""What answers the warm-up."""


async def test_l1_l2_l3_calls_come_out_whole_and_go_back_as_the_upstream_made_them() -> None:
    async with stream_to(FIRST, raw(chunk({"tool_calls": CALLS}, "stop"), DONE), FIRST) as (stream, upstream):
        await stream.send(generate("What time is it?", tools=[tool()]))
        assert (await stream.until("finished")).reason == Finished.REASON_TOOL_CALLS
        calls = [answer.tool_call.tool_call for answer in stream.seen if answer.HasField("tool_call")]
        assert [found.arguments_json for found in calls] == ['{"n":17}', '{"n": 1180591620717411303424}']
        assert all(len(found.call_id) <= 128 for found in calls)
        results = [Message(role=Message.ROLE_TOOL, text="9", tool_call_id=found.call_id) for found in calls]
        await stream.send(generate("What?", Message(role=Message.ROLE_ASSISTANT, tool_calls=calls), *results))
        await stream.until("finished")
        _, assistant, *answered = upstream.requests[-1]["messages"]
    first, second = assistant["tool_calls"]
    assert first == {"type": "function", **CALLS[0]}
    assert second["id"] not in {first["id"], ""}
    assert [message["tool_call_id"] for message in answered] == [first["id"], second["id"]]


TEXTS = {
    "L4 pings": raw(b"event: ping\n\n", b"data:\n\n", chunk({"content": "Hello"}), STOP, DONE),
    "L5 done without a reason": raw(chunk({"content": "Hello"}), DONE),
    "L5 the connection breaks after the reason": raw(chunk({"content": "Hello"}), STOP, cut=True),
    "L5 silence after the reason": raw(chunk({"content": "Hello"}) + STOP, b": \n\n", gap_s=30),
    "L6 parts": raw(chunk({"content": [{"type": "text", "text": "Hel"}, "lo"]}), STOP, DONE),
    "L7 halves": raw(chunk({"content": "Hello"}), chunk({"reasoning": "\ud83d"}), STOP, DONE),
    "C2 a mark": raw(chunk({"content": "Hello<|im_"}), chunk({"content": "end|>"}), STOP, DONE),
    "no stream": Play(
        raw=[event({"choices": [{"message": {"content": "Hello"}}]}).removeprefix(b"data: ")],
        content_type="application/json",
    ),
}


@pytest.mark.parametrize("case", TEXTS)
async def test_an_answer_is_told_once_and_ends_well(case: str) -> None:
    async with stream_to(FIRST, TEXTS[case]) as (stream, upstream):
        await stream.send(generate("Hi"))
        finished = await stream.until("finished")
        assert (written(stream.seen, 0), finished.reason) == ("Hello", Finished.REASON_STOP)
        assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("play", "code", "words"),
    [
        (
            raw(chunk({"content": "Hi"}), event({"error": {"code": 429, "message": "slow"}})),
            "RESOURCE_EXHAUSTED",
            "slow",
        ),
        (raw(event({"error": {"code": "context_length_exceeded", "message": "8192"}})), "INVALID_ARGUMENT", "8192"),
        (raw(chunk({"content": "Hi"}), cut=True), "UNAVAILABLE", "broke off"),
        (Play(status=400, error=[{"error": {"message": "signature is missing"}}]), "INVALID_ARGUMENT", "signature"),
        (Play(status=500, error=b"<html><title>Oops</title></html>"), "UNAVAILABLE", "Oops"),
        (raw(b"<html>", content_type="text/html"), "UNAVAILABLE", "/v1"),
    ],
    ids=["L8 busy", "L8 context", "L5 cut", "L3 a reason in a list", "L9 a page", "a page that is OK"],
)
async def test_what_went_wrong_is_told_by_its_status_and_reason(play: Play, code: str, words: str) -> None:
    async with stream_to(FIRST, play) as (stream, _):
        await stream.send(generate("Hi"))
        error = await stream.failure()
        assert (error.code(), words in str(error.details())) == (grpc.StatusCode[code], True)


async def test_l8_l12_a_failure_before_the_first_token_is_asked_again_and_one_after_it_never() -> None:
    failure = event({"error": {"code": 503, "message": "loading"}})
    broken = raw(chunk({"role": "assistant"}), cut=True)
    plays = [FIRST, raw(failure), broken, Play(status=529, error={}), raw(chunk({"content": "Hi"}), failure)]
    async with stream_to(*plays) as (stream, upstream):
        await stream.send(generate("Hi"))
        error = await stream.failure()
        assert (error.code(), written(stream.seen, 0)) == (grpc.StatusCode.UNAVAILABLE, "Hi")
        assert len(upstream.requests) == 5


async def test_l12_a_wait_in_milliseconds_is_kept() -> None:
    busy = Play(status=429, error={}, headers={"retry-after-ms": "300", "Retry-After": "60"})
    async with stream_to(FIRST, busy, FIRST, retry_max_wait_s=0.4) as (stream, upstream):
        began = time.monotonic()
        await stream.send(generate("Hi"))
        await stream.until("finished")
        assert time.monotonic() - began >= 0.3
        assert len(upstream.requests) == 3


async def test_l9_l10_refused_fields_are_dropped_or_renamed_at_the_start_and_told() -> None:
    refusals = [
        Play(status=422, error={"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]}),
        Play(status=400, error=["Unsupported: chat_template_kwargs"]),
        Play(status=400, error={"error": {"message": "Use 'max_completion_tokens' instead of 'max_tokens'"}}),
        Play(status=400, error=b"temperature is not supported"),
    ]
    async with stream_to(*refusals, FIRST) as (stream, upstream):
        options = {option.field: option.outcome for option in stream.seen[0].ready.options}
        assert options == {"config.sampling.temperature": stream.seen[0].ready.options[0].OUTCOME_IGNORED}
        await stream.send(generate("Hi"))
        await stream.until("finished")
        body = upstream.requests[-1]
    assert body["max_completion_tokens"] == 512
    assert not body.keys() & {"top_k", "chat_template_kwargs", "max_tokens", "temperature"}


async def test_l11_thoughts_that_the_template_opens_are_no_answer() -> None:
    thinks = raw(*(chunk({"content": piece}) for piece in ("Hm, ", "so.</th", "ink>\n\n", "Hello")), STOP, DONE)
    async with stream_to(FIRST, thinks, upstream_opens_thoughts=True) as (stream, _):
        await stream.send(generate("Hi"))
        await stream.until("finished")
        assert written(stream.seen, 0) == "Hello"


async def test_l11_unset_it_is_learned_from_the_first_answer() -> None:
    thinks = raw(*(chunk({"content": piece}) for piece in ("Hm, ", "so.</th", "ink>\n\n", "Hello")), STOP, DONE)
    async with stream_to(FIRST, thinks) as (stream, _):
        await stream.send(generate("Hi"), generate("Hi"))
        await stream.until("finished")
        await stream.until("finished")
        assert (written(stream.seen, 0), written(stream.seen, 1)) == ("Hm, so.Hello", "Hello")


async def test_c7_a_filter_before_the_answer_is_an_answer_without_a_word() -> None:
    refused = Play(status=400, error={"error": {"code": "content_filter", "message": "filtered"}})
    async with stream_to(FIRST, refused) as (stream, _):
        await stream.send(generate("Hi"))
        assert (await stream.until("finished")).reason == Finished.REASON_CONTENT_FILTER


async def test_c2_a_history_with_marks_of_the_model_is_answered() -> None:
    async with stream_to(FIRST) as (stream, upstream):
        await stream.send(generate("Hi", Message(role=Message.ROLE_ASSISTANT, text="Paris.<|im_end|>"), user("And?")))
        await stream.until("finished")
        assert upstream.requests[-1]["messages"][1]["content"] == "Paris."


async def test_c8_a_proxy_in_the_environment_is_not_asked_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # The test's own channel is not what is tested.
    monkeypatch.setenv("no_grpc_proxy", "127.0.0.1")
    async with stream_to(Play([text("Hello")])) as (stream, _):
        await stream.send(generate("Hi"))
        await stream.until("finished")
        assert written(stream.seen, 0) == "Hello"


@pytest.mark.parametrize(
    "listed",
    [
        {"object": "list", "data": [{"id": "m", "meta": {"n_ctx": 2048}}, {"id": None}, None]},
        {"models": [{"name": "m", "context_length": 2048}]},
        [{"id": "m", "max_model_len": 2048, "meta": None}],
    ],
    ids=["llama.cpp", "another name", "a list"],
)
async def test_a_list_of_models_is_read_in_any_shape(listed: Any) -> None:
    async with recorded_upstream() as upstream:
        upstream.listed = listed
        settings = LlmSettings(upstream_url=upstream.url)
        async with serving(LlmService(RemoteEndpoint(upstream.url, settings), settings), settings) as (channel, _):
            stub = llm_pb2_grpc.LanguageModelServiceStub(channel)
            info = await stub.GetModelInfo(llm_pb2.GetModelInfoRequest())
            assert (list(info.models), info.context_tokens) == (["m"], 2048)
