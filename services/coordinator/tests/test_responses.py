"""Responses go to one stream after another, in order, and no more of them wait than may."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from voxmesh.conversation.v1 import conversation_pb2 as pb
from voxmesh_coordinator.durability.log import SessionLog, Writer
from voxmesh_coordinator.durability.state import SessionState, State
from voxmesh_coordinator.durability.store import Write
from voxmesh_coordinator.session.responses import MAX_KEPT_BYTES, MAX_UNSENT_BYTES, Response, ResumableResponseStream
from voxmesh_runtime.errors import Unavailable

pytestmark = pytest.mark.virtual

STARTED = Response(session_started=pb.SessionStarted(session_id="s"))
PIECE = bytes(4800)
"""A tenth of a second of reply audio."""


class Client:
    """The end of a stream; it reads while `reads` is set."""

    def __init__(self) -> None:
        self.got: list[Response] = []
        self.is_moving = False
        self.reads = asyncio.Event()
        self.reads.set()

    async def send(self, response: Response) -> None:
        await self.reads.wait()
        await asyncio.sleep(0)
        self.got.append(response)

    @property
    def kinds(self) -> list[str]:
        return [response.WhichOneof("converse_response") or "" for response in self.got[1:]]

    @property
    def sequences(self) -> list[int]:
        return [response.sequence for response in self.got if response.sequence]


class SlowStore:
    """Takes a second for a write."""

    def __init__(self) -> None:
        self.writes: list[Write] = []

    async def write(self, writes: Sequence[Write]) -> list[bool]:
        await asyncio.sleep(1)
        self.writes += writes
        return [True for _ in writes]


def stream(log: SessionLog | None = None) -> ResumableResponseStream:
    return ResumableResponseStream(log or SessionLog(SessionState(State(), 4000)), lambda _: None)


async def attach(responses: ResumableResponseStream, client: Client, last_sequence: int | None = None) -> None:
    await responses.attach(client, STARTED, last_sequence)  # pyright: ignore[reportArgumentType] # as much as is used


async def kept_log() -> SessionLog:
    log = SessionLog(SessionState(State(), 4000), Writer(SlowStore()))  # pyright: ignore[reportArgumentType] # no claims
    await log.begin()
    return log


def text(delta: str = "One") -> Response:
    return Response(reply_text=pb.ReplyText(delta=delta))


def piece() -> Response:
    return Response(reply_audio=pb.ReplyAudio(data=PIECE))


CALL = Response(tool_call=pb.ToolCall(call_id="call_0_0"))
ACKNOWLEDGED = Response(audio_acknowledged=9)


async def test_what_is_said_while_nobody_listens_waits() -> None:
    responses, client = stream(), Client()
    responses.send(text())
    responses.send(ACKNOWLEDGED)
    await attach(responses, client)
    responses.send(text())
    responses.send(ACKNOWLEDGED)
    await responses.flushed()
    assert client.sequences == [1, 2]
    assert client.kinds.count("audio_acknowledged") == 1


async def test_a_client_that_comes_back_gets_what_it_lacks_and_nothing_twice() -> None:
    responses, first, second = stream(), Client(), Client()
    await attach(responses, first)
    for _ in range(3):
        responses.send(text())
    await responses.flushed()
    first.reads.clear()
    responses.send(text())
    await asyncio.sleep(0.01)
    await attach(responses, second, last_sequence=2)
    responses.send(text())
    await responses.flushed()
    assert (first.sequences, second.sequences) == ([1, 2, 3], [3, 4, 5])
    with pytest.raises(LookupError):
        await attach(responses, Client(), last_sequence=6)


async def test_a_stream_that_is_lost_ends_no_wait_for_ever() -> None:
    responses, client = stream(), Client()
    await attach(responses, client)
    client.reads.clear()
    responses.send(text())
    responses.lose(client, Unavailable("gone"))  # pyright: ignore[reportArgumentType] # as much as is used
    await responses.flushed()
    assert not responses.is_attached
    assert (await responses.lost()).message == "gone"


async def produce(responses: ResumableResponseStream) -> None:
    """Make reply audio as fast as there is room for it."""
    while True:
        await responses.writable()
        responses.send(piece())
        await asyncio.sleep(0)


async def made(responses: ResumableResponseStream, log: SessionLog) -> int:
    """Bytes that a maker of audio has made when it is held back."""
    producing = asyncio.create_task(produce(responses))
    await asyncio.sleep(1)
    before = log.state.proto.response_sequence
    await asyncio.sleep(1)
    producing.cancel()
    assert log.state.proto.response_sequence == before
    return before * len(PIECE)


async def test_a_client_that_reads_nothing_holds_back_who_makes_audio() -> None:
    log = SessionLog(SessionState(State(), 4000))
    responses, client = stream(log), Client()
    await attach(responses, client)
    client.reads.clear()
    assert await made(responses, log) <= MAX_UNSENT_BYTES + 2 * len(PIECE)
    client.reads.set()
    await responses.flushed()
    await responses.writable()


async def test_a_client_that_is_away_is_kept_as_much_as_it_may_miss() -> None:
    log = SessionLog(SessionState(State(), 4000))
    responses = stream(log)
    size = await made(responses, log)
    assert 0.99 * MAX_KEPT_BYTES <= size <= MAX_KEPT_BYTES


async def test_a_slow_store_holds_back_who_makes_more_than_it_can_write_and_delays_nothing_else() -> None:
    log = await kept_log()
    responses, client = stream(log), Client()
    await attach(responses, client)
    producing = asyncio.create_task(produce(responses))
    await asyncio.sleep(20)
    producing.cancel()
    assert log.is_kept
    assert len(client.sequences) * len(PIECE) > 20 * 400_000
    responses.send(Response(duck=pb.Duck(gain=0.2)))
    await asyncio.sleep(0.01)
    assert client.kinds[-1] == "duck"


async def test_a_tool_call_waits_for_its_commit_and_what_follows_waits_behind_it() -> None:
    log = await kept_log()
    responses, client = stream(log), Client()
    await attach(responses, client)
    responses.send(text())
    responses.send(CALL)
    responses.send(text())
    await asyncio.sleep(0.9)
    assert client.kinds == ["reply_text"]
    await asyncio.sleep(0.2)
    assert client.kinds == ["reply_text", "tool_call", "reply_text"]


async def test_a_client_that_was_asked_to_move_gets_nothing_that_is_not_committed() -> None:
    log = await kept_log()
    responses, client = stream(log), Client()
    await attach(responses, client)
    client.is_moving = True
    responses.send(text())
    await asyncio.sleep(0.9)
    assert client.kinds == []
    await asyncio.sleep(0.2)
    assert client.kinds == ["reply_text"]
