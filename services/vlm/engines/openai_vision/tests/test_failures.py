"""What a stream's caller is told when the server fails or answers oddly, and that neighbours and the service go on."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from google.rpc import error_details_pb2

from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.engines import hosting
from voxmesh_testing.http import Play, fails
from voxmesh_testing.pictures import (
    ANSWER,
    CANCEL,
    READ_TEXT,
    Request,
    VlmExchange,
    analyze,
    answer_of,
    draw,
    file_of,
    lines_of,
    upload,
)
from voxmesh_testing.service import FREED_WITHIN_S
from voxmesh_testing.streams import details, exchange, serving, wait_until
from voxmesh_vlm.servicer import VlmService
from voxmesh_vlm.settings import VlmSettings
from voxmesh_vlm_openai_vision.engine import OpenAiVisionEngine
from voxmesh_vlm_openai_vision.settings import OpenAiVisionSettings
from voxmesh_vlm_openai_vision.testing import ChatRequest, ChatServer, event, writes

pytestmark = pytest.mark.engine

KEY = "sk-very-secret"
PROMPT = "Who is the man in the picture?"
CODE = grpc.StatusCode
CONFIG = Request(config=vlm_pb2.AnalysisConfig())
PICTURE = upload(file_of(draw("x", width=64)))
EVENTS = "text/event-stream"


@asynccontextmanager
async def _served(server: ChatServer, **changes: Any) -> AsyncGenerator[tuple[Any, VlmService]]:
    """The service before the server; what was asked at start is forgotten."""
    values: dict[str, Any] = {
        "base_url": server.url,
        "retry_max_wait_s": 0.3,
        "api_key": KEY,
        "first_token_timeout_s": 5,
        **changes,
    }
    settings = VlmSettings(engine="openai_vision")
    engine = OpenAiVisionEngine(EngineContext(), OpenAiVisionSettings(**values))
    service = VlmService(hosting("vlm", engine, settings), settings)
    async with serving(service, settings) as (channel, _):
        server.requests.clear()
        yield vlm_pb2_grpc.VisionLanguageServiceStub(channel).StreamingAnalyze, service


@asynccontextmanager
async def _stream(server: ChatServer, **changes: Any) -> AsyncGenerator[VlmExchange]:
    async with _served(server, **changes) as (method, _), exchange(method, CONFIG) as stream:
        await stream.until("ready")
        yield stream


def _ask(**fields: Any) -> list[Request]:
    return [*PICTURE, analyze(ANSWER, **{"prompt": PROMPT, **fields})]


def _schema() -> struct_pb2.Struct:
    schema = struct_pb2.Struct()
    total = {"type": "number", "minimum": 0}
    schema.update({"type": "object", "properties": {"total": total}, "required": ["total"]})
    return schema


FAILING = {
    "429": ([fails(429, "slow down", retry_after="7")], CODE.RESOURCE_EXHAUSTED, "at its limit"),
    "500": ([fails(500, "CUDA error")], CODE.UNAVAILABLE, r"HTTP 500 \(CUDA error\); try again"),
    "503": ([fails(503)], CODE.UNAVAILABLE, "HTTP 503"),
    "500 with the key": ([fails(500, f"the key {KEY}\nis over")], CODE.UNAVAILABLE, r"key \*\*\* is over"),
    "401": ([fails(401, f"Incorrect API key provided: {KEY}")], CODE.FAILED_PRECONDITION, "OPENAI_VISION_API_KEY"),
    "404": ([fails(404, "no such model")], CODE.FAILED_PRECONDITION, "no model 'eyes-1'"),
    "400": ([fails(400, "unknown field: seed")], CODE.FAILED_PRECONDITION, "unknown field: seed.*EXTRA_FIELDS"),
    "no eyes": (
        [fails(400, "image input is not supported - hint: you may need to provide the mmproj")],
        CODE.FAILED_PRECONDITION,
        "sees no pictures.*needs --mmproj",
    ),
    "too long": (
        [fails(400, "the request exceeds the available context size, try increasing it")],
        CODE.INVALID_ARGUMENT,
        "longer than the context",
    ),
    "302": ([fails(302, location="http://elsewhere/")], CODE.FAILED_PRECONDITION, "HTTP 302"),
    "a page": ([Play(b"<html>", content_type="text/html")], CODE.UNAVAILABLE, "answered text/html that is no answer"),
    "a complaint in mid-answer": (
        [
            Play(
                content_type=EVENTS,
                parts=[event("I"), b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'],
            )
        ],
        CODE.UNAVAILABLE,
        r"broke off its answer \(out of memory\)",
    ),
    "cut": ([writes("I see", is_cut=True)], CODE.UNAVAILABLE, "broke off"),
    "an end without an end": ([Play(event("I see"), content_type=EVENTS)], CODE.UNAVAILABLE, "broke off"),
    "an event without end": (
        [Play(content_type=EVENTS, parts=[b"data: " + b"x" * 2**20] * 9)],
        CODE.UNAVAILABLE,
        "an event of more than",
    ),
    "an answer without end": (
        [Play(content_type=EVENTS, parts=[event("y" * 2**20)] * 5)],
        CODE.UNAVAILABLE,
        "wrote more than",
    ),
}


@pytest.mark.parametrize(("plays", "code", "told"), FAILING.values(), ids=FAILING.keys())
async def test_a_failed_answer_is_a_typed_error(
    server: ChatServer, plays: Sequence[Play], code: grpc.StatusCode, told: str
) -> None:
    async with _served(server) as (method, _), exchange(method, CONFIG) as stream:
        await stream.until("ready")
        server.play(*plays)
        await stream.send(*_ask())
        error = await stream.failure()
        server.play()
        async with exchange(method, CONFIG, *_ask()) as another:
            await another.until("finished")
            assert answer_of(another.seen) == "I see 1."
    assert error.code() == code
    assert re.search(told, str(error.details()))
    assert KEY not in str(error.details())


@pytest.mark.parametrize("passing", [fails(503), fails(429, retry_after="0.1"), writes(is_cut=True)])
async def test_a_failure_that_passes_costs_a_moment(server: ChatServer, passing: Play) -> None:
    async with _stream(server) as stream:
        server.play(passing, writes("fine"))
        await stream.send(*_ask())
        await stream.until("finished")
        assert answer_of(stream.seen) == "fine"
        assert len(server.requests) == 2


async def test_what_was_written_before_a_cut_is_delivered_and_never_asked_again(server: ChatServer) -> None:
    async with _stream(server) as stream:
        server.play(writes("I see", is_cut=True))
        await stream.send(*_ask())
        assert (await stream.failure()).code() == CODE.UNAVAILABLE
        assert answer_of(stream.seen) == "I see"
        assert len(server.requests) == 1


async def test_the_wait_that_the_server_asks_for_is_passed_on(server: ChatServer) -> None:
    async with _stream(server, first_token_timeout_s=60) as stream:
        server.play(fails(429, retry_after="70"))
        await stream.send(*_ask())
        error = await stream.failure()
    (info,) = [detail for detail in details(error) if isinstance(detail, error_details_pb2.RetryInfo)]
    assert info.retry_delay.seconds == 70


@pytest.mark.parametrize(
    ("play", "told"),
    [
        (Play(pause_s=60), "wrote nothing within 0.5 s.*FIRST_TOKEN_TIMEOUT_S"),
        (writes("I", "see", gap_s=60), "fell silent in mid-answer for 0.5 s.*SILENCE_TIMEOUT_S"),
    ],
    ids=["hangs", "falls silent"],
)
async def test_a_server_that_gives_no_more_is_left_at_the_deadline(server: ChatServer, play: Play, told: str) -> None:
    limits = {"first_token_timeout_s": 0.5, "silence_timeout_s": 0.5, "start_timeout_s": 20}
    async with _stream(server, **limits) as stream:
        server.play(play)
        await stream.send(*_ask())
        error = await stream.failure()
        await wait_until(lambda: server.hang_ups > 0)
    assert error.code() == CODE.UNAVAILABLE
    assert re.search(told, str(error.details()))


@pytest.mark.parametrize("play", [Play(pause_s=60), writes("I", "see", gap_s=60)], ids=["before it", "in it"])
async def test_a_cancel_hangs_up_at_once(server: ChatServer, play: Play) -> None:
    async with _stream(server, first_token_timeout_s=60, silence_timeout_s=60) as stream:
        server.play(play)
        await stream.send(*_ask())
        await wait_until(lambda: bool(server.requests))
        await stream.send(CANCEL)
        assert (await stream.until("finished")).cancelled
        await wait_until(lambda: server.hang_ups > 0, FREED_WITHIN_S)


async def test_a_stream_whose_answer_hangs_holds_up_no_other(server: ChatServer) -> None:
    def by_text(request: ChatRequest) -> Play:
        return Play(pause_s=60) if "hang" in request.text else writes("fine")

    async with _served(server, first_token_timeout_s=60) as (method, _):
        server.compute = by_text
        async with exchange(method, CONFIG, *_ask(prompt="hang")) as hanging:
            await hanging.until("ready")
            async with asyncio.timeout(10), exchange(method, CONFIG, *_ask()) as other:
                await other.until("finished")
                assert answer_of(other.seen) == "fine"


DATA = {
    "plain": (['{"total": 17}'], 1),
    "in a fence": (['```json\n{"total": 17}\n```'], 1),
    "after prose": (['Sure! The total is: {"total": 17}'], 1),
    "after thoughts": (['<think>{"total": 3}?</think>{"total": 17}'], 1),
    "wrong, then right": (['{"total": "seventeen"}', '{"total": 17}'], 2),
    "short, then right": (["{}", '{"total": 17}'], 2),
    "words, then right": (["It is seventeen.", '{"total": 17}'], 2),
}


@pytest.mark.parametrize(("answers", "requests"), DATA.values(), ids=DATA.keys())
async def test_data_is_found_judged_and_asked_for_again(server: ChatServer, answers: list[str], requests: int) -> None:
    async with _stream(server) as stream:
        server.play(*(writes(*answer) for answer in answers))
        await stream.send(*_ask(response_schema=_schema()))
        result = await stream.until("structured_result")
        await stream.until("finished")
    assert json_format.MessageToDict(result.value) == {"total": 17}
    assert not answer_of(stream.seen)
    assert len(server.requests) == requests
    sent = server.requests[0].fields
    assert sent["response_format"]["json_schema"]["schema"]["required"] == ["total"]
    assert sent["temperature"] == 0
    if requests > 1:
        said, told = server.requests[-1].fields["messages"][1:]
        assert said == {"role": "assistant", "content": answers[0]}
        assert "That does not do" in told["content"]


async def test_data_that_is_wrong_twice_is_a_typed_error_that_does_not_quote_it(server: ChatServer) -> None:
    async with _stream(server) as stream:
        server.play(writes('{"total": "secret"}'))
        await stream.send(*_ask(response_schema=_schema()))
        error = await stream.failure()
    assert error.code() == CODE.UNAVAILABLE
    assert "no answer that satisfies the schema, asked 2 times (total: " in str(error.details())
    assert "secret" not in str(error.details())


async def test_data_that_the_limit_cuts_is_told_and_not_asked_for_again(server: ChatServer) -> None:
    async with _stream(server) as stream:
        server.play(writes('{"total": 1', finish="length"))
        await stream.send(*_ask(response_schema=_schema()))
        assert (await stream.until("finished")).truncated
        assert len(server.requests) == 1


async def test_thoughts_are_no_part_of_an_answer(server: ChatServer) -> None:
    async with _stream(server) as stream:
        parts = [event("", reasoning_content="a man?"), event("A man."), event(finish="stop"), b"data: [DONE]\n\n"]
        server.play(Play(content_type=EVENTS, parts=parts))
        await stream.send(*_ask())
        await stream.until("finished")
        assert answer_of(stream.seen) == "A man."
        assert server.requests[0].fields["chat_template_kwargs"] == {"enable_thinking": False}


async def test_an_answer_that_is_no_stream_is_read_too(server: ChatServer) -> None:
    async with _stream(server) as stream:
        body = {"choices": [{"message": {"content": "A man."}, "finish_reason": "stop"}]}
        server.play(Play(json.dumps(body).encode()))
        await stream.send(*_ask())
        await stream.until("finished")
        assert answer_of(stream.seen) == "A man."


async def test_plain_lines_are_lines_without_a_place(server: ChatServer) -> None:
    async with _stream(server) as stream:
        server.play(writes("Invoice 2041\nTotal", " 17 euro\n"))
        await stream.send(*PICTURE, analyze(READ_TEXT))
        await stream.until("finished")
        assert lines_of(stream.seen) == ["invoice2041", "total17euro"]
        assert not any(seen.text_line.corners for seen in stream.seen)


async def test_no_more_requests_go_out_than_the_server_may_get(server: ChatServer) -> None:
    async with _served(server, max_concurrent_requests=2) as (method, _):
        server.play(writes("a", "b", gap_s=0.05))

        async def alone() -> str:
            async with exchange(method, CONFIG, *_ask()) as stream:
                await stream.until("finished")
                return answer_of(stream.seen)

        assert await asyncio.gather(*(alone() for _ in range(4))) == ["ab"] * 4
    assert server.most_at_once <= 2


async def test_neither_key_nor_words_are_ever_logged(server: ChatServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = server.url.replace("//", "//user:hidden@")
    said = "An ill disposed young man."
    async with _served(server, base_url=url) as (method, _):
        for play in (fails(503, said), fails(400, f"{KEY} {said}"), writes(said, is_cut=True)):
            server.play(play)
            async with exchange(method, CONFIG, *_ask()) as stream:
                await stream.failure()
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "asking the server again" in logged
    assert not [word for word in (KEY, "hidden", said, PROMPT) if word in logged]
