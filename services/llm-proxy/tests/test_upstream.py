"""The proxy in front of servers that do what upstreams were seen to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from pydantic import SecretStr

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.endpoint import RemoteEndpoint
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.structs import Json
from voxmesh_testing.llm import PNG, cancel, generate, prefill, struct, tool, user, written
from voxmesh_testing.llm_server import Play, RecordedUpstream, fragment, recorded_upstream, text
from voxmesh_testing.service import FREED_WITHIN_S
from voxmesh_testing.streams import Exchange, details, exchange, serving, wait_until

pytestmark = pytest.mark.server

Request = llm_pb2.StreamingGenerateRequest
Finished = llm_pb2.Finished


@asynccontextmanager
async def proxy(
    upstream: RecordedUpstream, **changes: Any
) -> AsyncGenerator[tuple[llm_pb2_grpc.LanguageModelServiceStub, LlmService]]:
    values: dict[str, Any] = {"retry_max_wait_s": 0.2, "upstream_url": upstream.url, **changes}
    settings = LlmSettings(**values)
    service = LlmService(RemoteEndpoint(upstream.url, settings), settings)
    async with serving(service, settings) as (channel, _):
        yield llm_pb2_grpc.LanguageModelServiceStub(channel), service


@asynccontextmanager
async def stream_to(
    *plays: Play, settings: dict[str, Any] | None = None, models: Sequence[str] | None = ("big", "small"), **config: Any
) -> AsyncGenerator[tuple[Exchange[Any, Any], RecordedUpstream]]:
    """A stream whose config is accepted, to an upstream that plays `plays` from then on."""
    async with recorded_upstream(models) as upstream, proxy(upstream, **(settings or {})) as (stub, _):
        opening = Request(config=llm_pb2.GenerationConfig(**config))
        async with exchange(stub.StreamingGenerate, opening) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
            await stream.until("ready")
            upstream.play(*plays)
            yield stream, upstream


async def failure_of(*plays: Play, **settings: Any) -> grpc.aio.AioRpcError:
    async with stream_to(*plays, settings=settings) as (stream, _):
        await stream.send(generate("Hi"))
        return await stream.failure()


def has_detail(error: grpc.aio.AioRpcError, kind: type[Any]) -> bool:
    return any(isinstance(detail, kind) for detail in details(error))


async def test_fragments_of_tool_calls_become_one_message_each() -> None:
    deltas = [
        fragment(0, name="get_time", call_id="a"),
        fragment(0, '{"zo'),
        fragment(0, 'ne": "IST", "n": 2}'),
        fragment(1, "", name="get_time", call_id="b"),
    ]
    async with stream_to(Play(deltas, finish="tool_calls")) as (stream, upstream):
        await stream.send(generate("What time is it?", tools=[tool()]))
        finished = await stream.until("finished")
        calls = [answer.tool_call.tool_call for answer in stream.seen if answer.HasField("tool_call")]
        assert [(call.name, call.arguments_json, dict(call.arguments)) for call in calls] == [
            ("get_time", '{"zone": "IST", "n": 2}', {"zone": "IST", "n": 2}),
            ("get_time", "{}", {}),
        ]
        assert finished.reason == Finished.REASON_TOOL_CALLS
        assert upstream.requests[0]["tools"][0]["function"]["name"] == "get_time"


async def test_calls_that_are_numbered_alike_are_told_apart_by_their_ids() -> None:
    deltas = [fragment(0, "{}", name="get_time", call_id=call_id) for call_id in ("a", "b")]
    async with stream_to(Play(deltas)) as (stream, _):
        await stream.send(generate("What time is it?", tools=[tool()]))
        assert (await stream.until("finished")).reason == Finished.REASON_TOOL_CALLS
        assert [a.tool_call.tool_call.name for a in stream.seen if a.HasField("tool_call")] == ["get_time"] * 2


@pytest.mark.parametrize(
    "delta",
    [
        fragment(0, '{"zone": ', name="get_time", call_id="a"),
        fragment(0, "[1]", name="get_time", call_id="a"),
        fragment(0, '{"n": NaN}', name="get_time", call_id="a"),
        fragment(0, "{}", name="rm_rf", call_id="a"),
    ],
    ids=["cut", "a list", "NaN", "not offered"],
)
async def test_a_call_that_nobody_can_run_is_a_clear_error(delta: Json) -> None:
    async with stream_to(Play([delta], finish="tool_calls")) as (stream, _):
        await stream.send(generate("What time is it?", tools=[tool()]))
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert "tool" in str(error.details())


async def test_the_conversation_reaches_the_upstream_as_it_was_sent() -> None:
    call = llm_pb2.ToolCall(call_id="c1", name="get_time", arguments=struct(n=2, zone="IST"))
    role = llm_pb2.Message
    messages = [
        llm_pb2.Message(role=role.ROLE_SYSTEM, text="Be kind."),
        llm_pb2.Message(role=role.ROLE_SYSTEM, text="Be brief."),
        user("What time is it?"),
        llm_pb2.Message(role=role.ROLE_ASSISTANT, tool_calls=[call]),
        llm_pb2.Message(role=role.ROLE_TOOL, text="Nine.", tool_call_id="c1"),
    ]
    sampling = llm_pb2.Sampling(temperature=0.3, seed=5, stop_sequences=["END"], max_output_tokens=9)
    async with stream_to(Play([text("Nine.")]), sampling=sampling, model="small") as (stream, upstream):
        await stream.send(generate(*messages))
        await stream.until("finished")
        body = upstream.requests[0]
        called = body["messages"][2]["tool_calls"][0]
        assert body["messages"][0] == {"role": "system", "content": "Be kind.\n\nBe brief."}
        assert (called["id"], called["function"]["name"]) == ("c1", "get_time")
        assert called["function"]["arguments"] == '{"n": 2, "zone": "IST"}'
        assert body["messages"][3] == {"role": "tool", "content": "Nine.", "tool_call_id": "c1"}
        assert (body["model"], body["temperature"], body["seed"]) == ("small", 0.3, 5)
        assert (body["stop"], body["max_tokens"]) == (["END"], 9)
        assert body["chat_template_kwargs"] == {"enable_thinking": False}


async def test_usage_model_and_reason_are_those_of_the_upstream() -> None:
    async with stream_to(Play([text("a")], finish="content_filter")) as (stream, _):
        await stream.send(generate("Hi"))
        finished = await stream.until("finished")
        assert finished.reason == Finished.REASON_CONTENT_FILTER
        assert finished.model == "big-0613"
        usage = finished.usage
        assert (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) == (7, 3, 2)


@pytest.mark.parametrize("thinking", [True, False])
@pytest.mark.parametrize(
    "deltas",
    [
        [{"reasoning_content": "Hm."}, text("Yes.")],
        [{"reasoning": "Hm."}, text("Yes.")],
        [text("<th"), text("ink>H"), text("m.</thi"), text("nk>\n\nYes.")],
    ],
    ids=["reasoning_content", "reasoning", "inline"],
)
async def test_thoughts_are_told_only_to_those_who_ask(deltas: list[Json], *, thinking: bool) -> None:
    async with stream_to(Play(deltas), thinking=thinking) as (stream, upstream):
        await stream.send(generate("Sure?"))
        await stream.until("finished")
        thoughts = "".join(a.reasoning_delta.text for a in stream.seen if a.HasField("reasoning_delta"))
        assert thoughts == ("Hm." if thinking else "")
        assert written(stream.seen, 0) == "Yes."
        assert upstream.requests[0]["chat_template_kwargs"] == {"enable_thinking": thinking}


async def test_a_field_that_the_upstream_does_not_know_is_dropped_and_stays_dropped() -> None:
    refusal = Play(status=400, error={"error": {"message": "Unrecognized request argument: chat_template_kwargs"}})
    async with stream_to(refusal, Play([text("Hi")])) as (stream, upstream):
        await stream.send(generate("Hi"), generate("Hi"))
        await stream.half_close()
        await stream.rest()
        assert ["chat_template_kwargs" in body for body in upstream.requests] == [True, False, False]


async def test_an_unknown_field_that_a_caller_sets_is_told_as_ignored() -> None:
    refusal = Play(status=400, error={"error": {"message": "unknown field: top_k"}})
    async with recorded_upstream() as upstream:
        upstream.play(refusal, Play([text("Hi")]))
        async with proxy(upstream) as (stub, _):
            opening = Request(config=llm_pb2.GenerationConfig(sampling=llm_pb2.Sampling(top_k=4)))
            async with exchange(stub.StreamingGenerate, opening) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
                option = (await stream.until("ready")).options[0]
                assert option.field == "config.sampling.top_k"
                assert option.outcome == option.OUTCOME_IGNORED


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_upstream_is_asked_again_before_the_first_token(status: int) -> None:
    busy = Play(status=status, error={"error": {"message": "busy"}})
    async with stream_to(busy, busy, Play([text("Hi")])) as (stream, upstream):
        await stream.send(generate("Hi"))
        await stream.until("finished")
        assert written(stream.seen, 0) == "Hi"
        assert len(upstream.requests) == 3


async def test_the_wait_that_the_upstream_asks_for_is_kept() -> None:
    busy = Play(status=503, error={}, headers={"Retry-After": "1"})
    async with stream_to(busy, Play([text("Hi")]), settings={"retry_max_wait_s": 1.5}) as (stream, _):
        await stream.send(generate("Hi"))
        timing = (await stream.until("finished")).timing
        assert seconds_of(timing.queue_duration) >= 1.0


async def test_an_upstream_that_asks_for_a_long_wait_is_not_asked_again() -> None:
    busy = Play(status=429, error={}, headers={"Retry-After": "60"})
    async with stream_to(busy) as (stream, upstream):
        await stream.send(generate("Hi"))
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        delays = [seconds_of(d.retry_delay) for d in details(error) if isinstance(d, error_details_pb2.RetryInfo)]
        assert delays == [60.0]
        assert len(upstream.requests) == 1


async def test_retries_end() -> None:
    async with stream_to(Play(status=503, error={}), settings={"retry_attempts": 3}) as (stream, upstream):
        await stream.send(generate("Hi"))
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert has_detail(error, error_details_pb2.RetryInfo)
        assert len(upstream.requests) == 3


async def test_an_answer_that_breaks_off_is_never_sent_again() -> None:
    async with stream_to(Play([text("Once "), text("upon")], finish=None)) as (stream, upstream):
        await stream.send(generate("Tell me a story"))
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert written(stream.seen, 0) == "Once upon"
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_names_its_setting(status: int) -> None:
    error = await failure_of(Play(status=status, error={"error": {"message": "bad key"}}))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "VOXMESH_UPSTREAM_API_KEY" in str(error.details())
    assert has_detail(error, error_details_pb2.ResourceInfo)


async def test_a_model_that_is_gone_is_named() -> None:
    error = await failure_of(Play(status=404, error={"error": {"message": "no such model"}}))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "'big'" in str(error.details())


async def test_a_context_that_is_too_long_names_the_messages_and_the_limit() -> None:
    message = "This model's maximum context length is 4096 tokens."
    error = await failure_of(Play(status=400, error={"error": {"message": message, "code": "context_length_exceeded"}}))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "generate.messages" in str(error.details())
    assert "4096" in str(error.details())


async def test_any_other_refusal_is_the_callers_to_read() -> None:
    error = await failure_of(Play(status=400, error={"error": {"message": "schemas must be objects"}}))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "schemas must be objects" in str(error.details())


async def test_a_slow_first_token_exceeds_its_time() -> None:
    error = await failure_of(Play([text("Hi")], pause_s=5), first_token_timeout_s=0.2)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_silence_in_mid_answer_ends_the_stream() -> None:
    error = await failure_of(Play([text("Hi"), text("!")], gap_s=5), idle_timeout_s=0.2)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "silent" in str(error.details())


async def test_an_upstream_that_goes_away_is_unavailable_and_says_when_to_come_back() -> None:
    async with recorded_upstream() as upstream:
        settings = LlmSettings(upstream_url=upstream.url, retry_max_wait_s=0.1)
        service = LlmService(RemoteEndpoint(upstream.url, settings), settings)
        gone = serving(service, settings)
        channel, _ = await gone.__aenter__()
    try:
        method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
        opening = Request(config=llm_pb2.GenerationConfig())
        async with exchange(method, opening, generate("Hi")) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
            error = await stream.failure()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert "VOXMESH_UPSTREAM_URL" in str(error.details())
        assert has_detail(error, error_details_pb2.RetryInfo)
    finally:
        await gone.__aexit__(None, None, None)


async def test_cancel_hangs_up_on_the_upstream_and_the_stream_goes_on() -> None:
    slow = Play([text("Once "), text("upon")], gap_s=30)
    async with stream_to(slow, Play([text("Hi")])) as (stream, upstream):
        await stream.send(generate("Tell me a story"))
        await stream.until("text_delta")
        await stream.send(cancel())
        assert (await stream.until("finished")).reason == Finished.REASON_CANCELLED
        await wait_until(lambda: upstream.hang_ups == 1, FREED_WITHIN_S)
        await stream.send(generate("Hi"))
        assert (await stream.until("finished")).reason == Finished.REASON_STOP


async def test_cancel_before_the_first_token_hangs_up_too() -> None:
    async with stream_to(Play([text("Hi")], pause_s=30)) as (stream, upstream):
        await stream.send(generate("Hi"))
        await wait_until(lambda: len(upstream.requests) == 1)
        await stream.send(cancel())
        assert (await stream.until("finished")).reason == Finished.REASON_CANCELLED
        await wait_until(lambda: upstream.hang_ups == 1, FREED_WITHIN_S)


async def test_a_client_that_vanishes_hangs_up_on_the_upstream() -> None:
    async with stream_to(Play([text("Once "), text("upon")], gap_s=30)) as (stream, upstream):
        await stream.send(generate("Tell me a story"))
        await stream.until("text_delta")
        stream.call.cancel()
        await wait_until(lambda: upstream.hang_ups == 1, FREED_WITHIN_S)


async def test_generations_over_the_upstreams_limit_wait_and_then_are_refused() -> None:
    slow = Play([text("a"), text("b")], gap_s=30)
    settings = {"concurrency": 1, "queue_timeout_s": 0.3}
    async with recorded_upstream() as upstream, proxy(upstream, **settings) as (stub, _):
        upstream.play(slow)
        opening = (Request(config=llm_pb2.GenerationConfig()), generate("Hi"))
        async with exchange(stub.StreamingGenerate, *opening) as first:  # pyright: ignore[reportArgumentType] # untyped stub
            await first.until("text_delta")
            async with exchange(stub.StreamingGenerate, *opening) as second:  # pyright: ignore[reportArgumentType] # the same
                error = await second.failure()
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert len(upstream.requests) == 1


async def test_the_wait_for_a_slot_is_told_as_queue() -> None:
    async with recorded_upstream() as upstream, proxy(upstream, concurrency=1) as (stub, _):
        upstream.play(Play([text("a")], pause_s=0.2))
        opening = (Request(config=llm_pb2.GenerationConfig()), generate("Hi"))

        async def queued() -> float:
            async with exchange(stub.StreamingGenerate, *opening) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
                return seconds_of((await stream.until("finished")).timing.queue_duration)

        first, second = sorted(await asyncio.gather(queued(), queued()))
        assert first < second


async def test_images_reach_an_upstream_that_sees_them() -> None:
    async with stream_to(Play([text("A cat.")]), settings={"upstream_images": True}) as (stream, upstream):
        await stream.send(generate(user("What is it?", images=[PNG])))
        await stream.until("finished")
        parts = upstream.requests[0]["messages"][0]["content"]
        assert parts[0]["image_url"]["url"].startswith("data:image/png;base64,")
        assert parts[1] == {"type": "text", "text": "What is it?"}


async def test_an_upstream_that_lists_nothing_serves_the_configured_model_alone() -> None:
    settings = {"upstream_model": "mine"}
    async with stream_to(Play([text("Hi")]), settings=settings, models=None, model="mine") as (stream, upstream):
        await stream.send(generate("Hi"))
        await stream.until("finished")
        assert upstream.requests[0]["model"] == "mine"


async def test_the_key_reaches_the_upstream_and_is_shown_nowhere() -> None:
    key = SecretStr("sesame")
    async with stream_to(Play([text("Hi")]), settings={"upstream_api_key": key}) as (stream, upstream):
        await stream.send(generate("Hi"))
        await stream.until("finished")
        assert set(upstream.keys) == {"Bearer sesame"}
        assert "sesame" not in repr(LlmSettings(upstream_api_key=key))


async def test_a_service_waits_for_its_upstream_before_it_serves() -> None:
    async with recorded_upstream() as upstream:
        upstream.play(Play(status=503, error={}), Play([text("Hi")]))
        async with proxy(upstream, retry_attempts=1):
            assert len(upstream.requests) == 2


async def test_what_comes_next_is_read_ahead_and_the_newest_alone_waits() -> None:
    slow = Play([text("I")], pause_s=0.2)
    async with stream_to(slow, settings={"prefill": True}) as (stream, upstream):
        await stream.send(prefill("Where"))
        await wait_until(lambda: len(upstream.requests) == 1)
        await stream.send(prefill("Where is"), prefill("Where is my"), prefill("Where is my book"))
        await wait_until(lambda: len(upstream.requests) == 2)
        await stream.send(generate("Where is my book?"))
        finished = await stream.until("finished")
        assert finished.generation_index == 0
        read = [(body["messages"][-1]["content"], body["max_tokens"] == 1) for body in upstream.requests]
        assert read == [("Where", True), ("Where is my book", True), ("Where is my book?", False)]


@pytest.mark.parametrize(("settings", "status"), [({}, 200), ({"prefill": True}, 500)], ids=["costs money", "fails"])
async def test_a_generation_does_not_depend_on_being_read_ahead(settings: dict[str, Any], status: int) -> None:
    async with stream_to(Play([text("I")], status=status), settings=settings) as (stream, upstream):
        await stream.send(prefill("Where"))
        if settings:
            await wait_until(lambda: bool(upstream.requests))
        else:
            await asyncio.sleep(0.1)
        upstream.play(Play([text("Here")]))
        await stream.send(generate("Where is it?"))
        await stream.until("finished")
        assert [body["messages"][-1]["content"] for body in upstream.requests] == ["Where is it?"]


async def test_a_client_that_leaves_ends_the_reading() -> None:
    async with stream_to(Play([text("I")], pause_s=30), settings={"prefill": True}) as (stream, upstream):
        await stream.send(prefill("Where"))
        await wait_until(lambda: bool(upstream.requests))
        stream.call.cancel()
        await wait_until(lambda: upstream.hang_ups == 1, FREED_WITHIN_S)
