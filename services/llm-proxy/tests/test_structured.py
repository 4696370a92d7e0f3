"""Answers that must keep a schema are judged, and calls too; where no grammar helps, the model is asked once more."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.bad_answer import BadAnswer, judged_json
from voxmesh_llm_proxy.endpoint import RemoteEndpoint
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_runtime.schemas import Judge
from voxmesh_testing.llm import generate, struct, tool, written
from voxmesh_testing.llm_server import Play, RecordedUpstream, fragment, recorded_upstream, text
from voxmesh_testing.streams import Exchange, exchange, serving

pytestmark = pytest.mark.unit

Request = llm_pb2.StreamingGenerateRequest
Finished = llm_pb2.Finished
SCHEMA = {
    "type": "object",
    "properties": {"yes": {"type": "boolean"}},
    "required": ["yes"],
    "additionalProperties": False,
}
JUDGE = Judge(SCHEMA)


@pytest.mark.parametrize(
    ("wrote", "found"),
    [
        ('{"yes": true}', '{"yes": true}'),
        (' {"yes":true}\n', ' {"yes":true}\n'),
        ('Sure:\n```json\n{"yes": false}\n```\nDone.', '{"yes": false}'),
        ('```\n{"no": 1}\n```\n```json\n{"yes": false}\n```', '{"yes": false}'),
        ('It is {"yes": true}, I think.', '{"yes": true}'),
        ('{not json} {"yes": true}', '{"yes": true}'),
    ],
)
def test_the_json_of_an_answer_is_found(wrote: str, found: str) -> None:
    assert judged_json(wrote, JUDGE) == found


@pytest.mark.parametrize(
    ("wrote", "problem"),
    [
        ("Yes.", "no JSON"),
        ("", "no JSON"),
        ('{"yes": "secret"}', "yes: "),
        ("[1]", "the answer: "),
        ("{" * 9999, "no JSON"),
    ],
)
def test_what_breaks_the_schema_is_told_without_what_was_written(wrote: str, problem: str) -> None:
    with pytest.raises(BadAnswer, match=problem) as bad:
        judged_json(wrote, JUDGE)
    assert "secret" not in bad.value.message


@asynccontextmanager
async def stream_to(*plays: Play, grammar: bool) -> AsyncGenerator[tuple[Exchange[Any, Any], RecordedUpstream]]:
    async with recorded_upstream() as upstream:
        settings = LlmSettings(upstream_url=upstream.url, upstream_grammar=grammar)
        async with serving(LlmService(RemoteEndpoint(upstream.url, settings), settings), settings) as (channel, _):
            method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
            config = llm_pb2.GenerationConfig(response_schema=struct(**SCHEMA))
            async with exchange(method, Request(config=config)) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
                await stream.until("ready")
                upstream.play(*plays)
                yield stream, upstream


async def test_a_grammar_is_asked_for_its_text_streams_and_is_judged_in_the_end() -> None:
    good = Play([text('{"yes"'), text(": true}")])
    async with stream_to(good, Play([text("Yes.")]), grammar=True) as (stream, upstream):
        await stream.send(generate("Is it?"))
        await stream.until("finished")
        assert len([each for each in stream.seen if each.HasField("text_delta")]) == 2
        assert upstream.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA
        await stream.send(generate("Is it?"))
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert "no JSON" in str(error.details())


async def test_without_a_grammar_the_model_is_told_the_schema_and_asked_once_more() -> None:
    bad, good = Play([text('{"yes": '), text('"maybe"}')]), Play([text("```json\n"), text('{"yes": true}\n```')])
    async with stream_to(bad, good, grammar=False) as (stream, upstream):
        await stream.send(generate("Is it?"))
        finished = await stream.until("finished")
        assert (written(stream.seen, 0), finished.reason) == ('{"yes": true}', Finished.REASON_STOP)
        first, second = upstream.requests
        assert "response_format" not in first
        assert json.dumps(SCHEMA["properties"]) in first["messages"][0]["content"]
        assert second["messages"][:2] == first["messages"]
        assert [each["role"] for each in second["messages"][2:]] == ["assistant", "user"]
        assert second["messages"][2]["content"] == '{"yes": "maybe"}'
        # Both answers cost.
        assert (finished.usage.input_tokens, finished.usage.output_tokens) == (14, 6)


async def test_a_second_bad_answer_is_an_error_and_nothing_of_it_is_told() -> None:
    async with stream_to(Play([text("Yes.")]), grammar=False) as (stream, upstream):
        await stream.send(generate("Is it?"))
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert (len(upstream.requests), written(stream.seen, 0)) == (2, "")


async def test_what_the_limit_cuts_is_told_as_it_is() -> None:
    async with stream_to(Play([text('{"yes": tr')], finish="length"), grammar=False) as (stream, upstream):
        await stream.send(generate("Is it?"))
        assert (await stream.until("finished")).reason == Finished.REASON_LENGTH
        assert (written(stream.seen, 0), len(upstream.requests)) == ('{"yes": tr', 1)


async def test_a_call_whose_arguments_break_the_tools_schema_is_asked_for_once_more() -> None:
    offered = tool("get_time")
    offered.parameters.update({"properties": {"zone": {"type": "string"}}, "required": ["zone"]})
    bad = Play([fragment(0, '{"place": "IST"}', name="get_time", call_id="a")], finish="tool_calls")
    good = Play([fragment(0, '{"zone": "IST"}', name="get_time", call_id="a")], finish="tool_calls")
    async with stream_to(bad, good, bad, grammar=False) as (stream, upstream):
        await stream.send(generate("What time is it?", tools=[offered]))
        assert (await stream.until("finished")).reason == Finished.REASON_TOOL_CALLS
        calls = [each.tool_call.tool_call for each in stream.seen if each.HasField("tool_call")]
        assert [call.arguments_json for call in calls] == ['{"zone": "IST"}']
        assert "get_time" in upstream.requests[1]["messages"][-1]["content"]
        await stream.send(generate("What time is it?", tools=[offered]))
        assert (await stream.failure()).code() == grpc.StatusCode.UNAVAILABLE


async def test_a_schema_that_is_none_is_refused_by_name() -> None:
    async with recorded_upstream() as upstream:
        settings = LlmSettings(upstream_url=upstream.url)
        async with serving(LlmService(RemoteEndpoint(upstream.url, settings), settings), settings) as (channel, _):
            method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
            config = llm_pb2.GenerationConfig(response_schema=struct(type="thing"))
            async with exchange(method, Request(config=config)) as stream:  # pyright: ignore[reportArgumentType] # untyped stub
                error = await stream.failure()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "config.response_schema" in str(error.details())
