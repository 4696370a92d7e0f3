"""Work that is done while the person speaks, and while it is still open whether the turn is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from talking import question, reply_text, spoken, talk
from test_coordinator import asked, coordinator, llm_proxy, says, scripted

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_client import MeshSettings
from voxmesh_runtime.channels import open_channel
from voxmesh_testing.llm_server import recorded_upstream
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.mesh

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport


class SlowJudge(turn_pb2_grpc.TurnDetectionServiceServicer):
    """The real turn detection by sound alone, whose judgement of pauses comes only when it is allowed to."""

    def __init__(self, stub: turn_pb2_grpc.TurnDetectionServiceStub) -> None:
        self.may_judge = asyncio.Event()
        self._stub = stub

    async def StreamingDetect(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes generators too
        self, request_iterator: AsyncIterator[turn_pb2.StreamingDetectRequest], context: object
    ) -> AsyncGenerator[turn_pb2.StreamingDetectResponse]:
        del context
        call: Any = self._stub.StreamingDetect(_without_words(request_iterator))  # pyright: ignore[reportArgumentType] # untyped stub
        async for response in call:
            if response.HasField("end_of_turn"):
                await self.may_judge.wait()
            yield response

    async def GetModelInfo(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request: turn_pb2.GetModelInfoRequest, context: object
    ) -> turn_pb2.GetModelInfoResponse:
        del context
        call: Any = self._stub.GetModelInfo(request)
        return await call


async def _without_words(
    requests: AsyncIterator[turn_pb2.StreamingDetectRequest],
) -> AsyncGenerator[turn_pb2.StreamingDetectRequest]:
    async for request in requests:
        if request.HasField("config"):
            request.config.ClearField("transcripts")
        yield request


@asynccontextmanager
async def slow_judge(settings: MeshSettings) -> AsyncGenerator[tuple[SlowJudge, str]]:
    """A turn detection service that judges late, and its target."""
    server = grpc.aio.server()
    async with open_channel(f"127.0.0.1:{settings.base_port + 1}") as channel:
        judge = SlowJudge(turn_pb2_grpc.TurnDetectionServiceStub(channel))
        turn_pb2_grpc.add_TurnDetectionServiceServicer_to_server(judge, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield judge, f"127.0.0.1:{port}"
        finally:
            await server.stop(0)


@pytest.mark.parametrize("shows_interim_results", [True, False])
async def test_a_reply_is_prepared_before_the_pause_is_judged_and_said_after_it(
    settings: MeshSettings, *, shows_interim_results: bool
) -> None:
    async with (
        slow_judge(settings) as (judge, target),
        scripted(settings, says("It is Paris."), turn_target=target, max_end_of_turn_wait_s=9) as (server, there),
        talk(there, interim_results=shows_interim_results) as call,
    ):
        call.say(question())
        await wait_until(lambda: len(server.requests) == 1, 20)
        assert not call.events(TurnEnded)
        judge.may_judge.set()
        await call.until(TurnReport)
        shown = {result.is_final for result in call.events(stt_pb2.RecognitionResult)}
    assert shown == ({True, False} if shows_interim_results else {True})
    assert "capital of france" in asked(server, 0)[-1]["content"].lower()
    assert len(server.requests) == 1
    assert reply_text(call, 0) == "It is Paris."


async def test_the_language_model_reads_what_is_said_while_it_is_said(settings: MeshSettings) -> None:
    words = await spoken(settings, "Please tell me what people in the north of Italy like to eat for lunch on Sunday.")
    async with (
        recorded_upstream() as server,
        llm_proxy(server, prefill=True) as target,
        coordinator(settings, llm_target=target) as (_, there),
        talk(there) as call,
    ):
        server.play(says("Polenta."))
        call.say(words)
        ended = await call.until(TurnEnded)
        await call.until(TurnReport)
        # What the reply added is read while it is heard.
        await wait_until(lambda: server.requests[-1]["messages"][-1]["role"] == "assistant")
    (answered,) = [number for number, body in enumerate(server.requests) if body["max_tokens"] > 1]
    assert asked(server, answered)[-1]["content"] == ended.text
    assert [message["role"] for message in asked(server, 0)] == ["system"]
    parts = [asked(server, number)[-1]["content"] for number in range(1, answered)]
    assert parts[0] != parts[-1]
    assert len(parts[0]) < len(ended.text)


async def test_without_speculation_nothing_is_read_ahead(settings: MeshSettings) -> None:
    async with (
        recorded_upstream() as server,
        llm_proxy(server, prefill=True) as target,
        coordinator(settings, llm_target=target) as (_, there),
        talk(there, speculation=False) as call,
    ):
        server.play(says("Paris."))
        call.say(question())
        await call.until(TurnReport)
    assert len(server.requests) == 1
