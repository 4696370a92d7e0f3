"""What each kind of server is sent, by its documents, and how its streams are understood."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.endpoint import RemoteEndpoint
from voxmesh_llm_proxy.presets import PRESETS
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.shapes import Shape
from voxmesh_llm_proxy.tokens import TokenCounter, estimated
from voxmesh_llm_proxy.upstream_errors import UNREACHABLE, UpstreamFailure
from voxmesh_runtime.chat.complaints import Complaint
from voxmesh_runtime.structs import Json
from voxmesh_testing.llm import generate, struct, tool, user, written
from voxmesh_testing.llm_server import DONE, KINDS, Play, RecordedUpstream, event, recorded_upstream, text
from voxmesh_testing.streams import Exchange, exchange, serving

pytestmark = pytest.mark.unit

Request = llm_pb2.StreamingGenerateRequest
Outcome = common_pb2.OptionOutcome
SHAPES = [Shape.LLAMA_CPP, Shape.VLLM, Shape.OLLAMA, Shape.OPENAI]
SAMPLING = llm_pb2.Sampling(temperature=0.5, top_p=0.9, top_k=5, seed=3, max_output_tokens=9, stop_sequences=["x"])


def raw(*chunks: Any, **common: Any) -> Play:
    """A stream of chunks with what all chunks of a server have in common."""
    fields = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", **common}
    return Play(raw=[*(event({**fields, **each}) for each in chunks), DONE])


def choice(delta: Any, finish: Any = None, **fields: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **fields}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}
STREAMS = {
    Shape.LLAMA_CPP: raw(
        choice({"role": "assistant", "content": None}),
        choice({"reasoning_content": "Hm."}),
        choice({"content": "Hello"}),
        choice({}, "stop"),
        {**USAGE, "timings": {"cache_n": 4, "prompt_n": 5}},
        system_fingerprint="b7000-abc",
    ),
    Shape.VLLM: raw(
        choice({"role": "assistant", "content": ""}, logprobs=None),
        choice({"reasoning": "Hm.", "reasoning_content": "Hm."}, logprobs=None),
        choice({"content": "Hello"}, logprobs=None, token_ids=None),
        choice({"content": ""}, "stop", stop_reason=None),
        USAGE,
    ),
    Shape.OLLAMA: raw(
        choice({"role": "assistant", "content": "", "reasoning": "Hm."}),
        choice({"role": "assistant", "content": "Hello"}),
        choice({"role": "assistant", "content": ""}, "stop"),
        USAGE,
        system_fingerprint="fp_ollama",
    ),
    Shape.OPENAI: raw(
        choice({"role": "assistant", "content": "", "refusal": None}, logprobs=None),
        choice({"content": "Hello"}, logprobs=None),
        choice({}, "stop", logprobs=None),
        USAGE,
        service_tier="default",
        system_fingerprint="fp_1",
        obfuscation="xyz",
    ),
}


@asynccontextmanager
async def stream_to(
    shape: Shape, *plays: Play, settings: dict[str, Any] | None = None, **config: Any
) -> AsyncGenerator[tuple[Exchange[Any, Any], RecordedUpstream]]:
    """A stream to a server of a kind that takes what such servers take, whose warm-up is over."""
    async with recorded_upstream() as upstream:
        upstream.kind = KINDS[shape.value]
        chosen = LlmSettings(upstream_url=upstream.url, upstream_shape=shape, **(settings or {}))
        async with serving(LlmService(RemoteEndpoint(upstream.url, chosen), chosen), chosen) as (channel, _):
            # Nothing was refused: the shape knows what such a server takes.
            assert len(upstream.requests) == 1
            method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
            async with exchange(method, Request(config=llm_pb2.GenerationConfig(**config))) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
                await stream.until("ready")
                upstream.play(*plays)
                yield stream, upstream


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_server_is_sent_only_what_its_documents_name(shape: Shape) -> None:
    schema = struct(type="object", properties={})
    async with stream_to(shape, Play([text("{}")]), sampling=SAMPLING, response_schema=schema) as (stream, upstream):
        await stream.send(generate("Hi", tools=[tool()]))
        await stream.until("finished")
        (body,) = upstream.requests
        assert body.keys() <= KINDS[shape.value].fields
        assert body["response_format"]["type"] == "json_schema"
        assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
        assert body["max_completion_tokens" if shape is Shape.OPENAI else "max_tokens"] == 9


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_servers_stream_is_understood_and_its_thoughts_are_not_told(shape: Shape) -> None:
    async with stream_to(shape, STREAMS[shape]) as (stream, _):
        await stream.send(generate("Hi"))
        finished = await stream.until("finished")
        assert written(stream.seen, 0) == "Hello"
        assert not any(each.HasField("reasoning_delta") for each in stream.seen)
        assert (finished.usage.input_tokens, finished.usage.output_tokens) == (9, 2)


SWITCHES = {
    Shape.LLAMA_CPP: {False: {"chat_template_kwargs": {"enable_thinking": False}}, True: {}},
    Shape.VLLM: {False: {"chat_template_kwargs": {"enable_thinking": False}}, True: {}},
    Shape.OLLAMA: {False: {"reasoning_effort": "none"}, True: {"reasoning_effort": "medium"}},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("thinking", [False, True])
async def test_thinking_is_off_by_the_switch_that_a_server_has(shape: Shape, *, thinking: bool) -> None:
    async with stream_to(shape, Play([text("Hi")]), thinking=thinking) as (stream, upstream):
        outcomes = [each.outcome for each in stream.seen[0].ready.options]
        await stream.send(generate("Hi"))
        await stream.until("finished")
    switch = SWITCHES.get(shape, {}).get(thinking, {})
    assert {name: upstream.requests[0].get(name) for name in switch} == switch
    has_switch = shape is not Shape.OPENAI
    assert outcomes == ([Outcome.OUTCOME_APPLIED if has_switch else Outcome.OUTCOME_IGNORED] if thinking else [])


async def test_an_option_that_a_server_does_not_know_is_told_as_ignored() -> None:
    async with stream_to(Shape.OPENAI, Play(), sampling=llm_pb2.Sampling(top_k=4, preset="thinking-coding")) as (s, _):
        told = {each.field: each.outcome for each in s.seen[0].ready.options}
    assert told == {
        "config.sampling.top_k": Outcome.OUTCOME_IGNORED,
        "config.sampling.preset": Outcome.OUTCOME_APPLIED,
    }


@pytest.mark.parametrize("name", PRESETS)
async def test_a_preset_gives_what_the_caller_does_not_set(name: str) -> None:
    sampling = llm_pb2.Sampling(preset=name, top_p=0.5)
    async with stream_to(Shape.VLLM, Play([text("Hi")]), sampling=sampling) as (stream, upstream):
        await stream.send(generate("Hi"))
        await stream.until("finished")
        body, preset = upstream.requests[0], PRESETS[name]
    assert (body["temperature"], body["top_k"], body["presence_penalty"]) == (
        *(preset.temperature, preset.top_k, preset.presence_penalty),
    )
    assert body["top_p"] == 0.5


async def test_the_services_own_preset_stands_for_its_four_settings() -> None:
    settings = {"sampling_preset": "instruct-reasoning", "temperature": 0.1}
    async with stream_to(Shape.VLLM, Play([text("Hi")]), settings=settings) as (stream, upstream):
        await stream.send(generate("Hi"))
        await stream.until("finished")
        assert (upstream.requests[0]["temperature"], upstream.requests[0]["presence_penalty"]) == (1.0, 2.0)


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_history_is_cut_by_the_servers_own_tokens_where_it_tells(shape: Shape) -> None:
    role = llm_pb2.Message
    turns = [user("word " * 2500), role(role=role.ROLE_ASSISTANT, text="word " * 900), user("word " * 100)]
    async with stream_to(shape, Play([text("Hi")])) as (stream, upstream):
        await stream.send(generate(role(role=role.ROLE_SYSTEM, text="Be kind."), *turns))
        finished = await stream.until("finished")
        (body,) = upstream.requests
        has_context, counts = shape in {Shape.LLAMA_CPP, Shape.VLLM}, bool(KINDS[shape.value].text_field)
        # 3,500 words and room for 3,584 of 4,096: by the server's tokens all fits, by their bytes it would not.
        assert len(body["messages"]) == 4
        assert finished.dropped_messages == 0
        assert len(upstream.counted) == (4 if counts else 0)
        if not has_context:
            return
        await stream.send(generate(*turns, role(role=role.ROLE_ASSISTANT, text="word " * 100), user("word " * 50)))
        finished = await stream.until("finished")
        assert [each["content"][:4] for each in upstream.requests[-1]["messages"]] == ["word"] * 3
        assert finished.dropped_messages == 2


async def test_a_conversation_is_sent_whole_where_that_is_asked_for() -> None:
    async with stream_to(Shape.VLLM, Play([text("Hi")]), settings={"cut_history": False}) as (stream, upstream):
        await stream.send(generate(user("word " * 5000), user("word")))
        await stream.until("finished")
        assert len(upstream.requests[0]["messages"]) == 2


async def test_texts_are_counted_once_and_estimated_where_nobody_counts() -> None:
    asked: list[tuple[str, Json]] = []
    failure: UpstreamFailure | None = None

    async def ask(path: str, body: Json, timeout_s: float) -> Any:
        del timeout_s
        asked.append((path, body))
        if failure is not None:
            raise failure
        return {"count": 7, "tokens": [1]}

    counter = TokenCounter(Shape.VLLM, ask)
    assert await counter.count(["a b", "a b", ""], "m") == [7, 7, 0]
    assert await counter.count(["a b"], "m") == [7]
    assert asked[0] == ("/tokenize", {"model": "m", "prompt": "a b", "add_special_tokens": False})
    failure = UpstreamFailure(UNREACHABLE)
    assert await counter.count(["another text"], "m") == [estimated("another text")]
    failure = UpstreamFailure(Complaint(status=404))
    await counter.count(["a third"], "m")
    before = len(asked)
    await counter.count(["a fourth"], "m")
    assert len(asked) == before
    assert await TokenCounter(Shape.OLLAMA, ask).count(["ಕನ್ನಡ"], "m") == [5]
