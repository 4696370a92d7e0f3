"""A client that loses its connection comes back to the same session: nothing said or answered is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest
from talking import reply_audio, reply_text, talk
from test_coordinator import says, scripted

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import MeshSettings
from voxmesh_client.events import SessionReplaced

pytestmark = pytest.mark.mesh

TurnReport = conversation_pb2.TurnReport
ReplyAudio = conversation_pb2.ReplyAudio


class Wire:
    """The connections to a service, which can be cut or fall silent."""

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.rpartition(":")
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flow = asyncio.Event()
        self._flow.set()
        self._silent: list[asyncio.Event] = []

    def lead_to(self, target: str) -> None:
        """From now on connect to another coordinator."""
        self._host, _, self._port = target.rpartition(":")

    def cut(self) -> None:
        """What a tunnel does to a phone: both ends lose the other, without a word."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()
        for flow in self._silent:
            flow.set()

    def fall_silent(self) -> None:
        """What a router does that forgot its connections: neither end gets anything more, and new ones work."""
        self._silent.append(self._flow)
        self._flow.clear()
        self._flow = asyncio.Event()
        self._flow.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cut for good."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward, away = await asyncio.open_connection(self._host, int(self._port))
        except ConnectionError:
            writer.transport.abort()
            return
        self._ends |= {writer, away}
        flow = self._flow
        await asyncio.gather(_pass(reader, away, flow), _pass(onward, writer, flow))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            await flow.wait()
            writer.write(data)
            await writer.drain()
    await flow.wait()
    writer.close()


@asynccontextmanager
async def wired(settings: MeshSettings) -> AsyncGenerator[tuple[Wire, MeshSettings]]:
    """The same coordinator, behind a wire."""
    wire = Wire(settings.coordinator_target or "")
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        try:
            yield wire, settings.model_copy(update={"coordinator_target": target})
        finally:
            # First: a connection that came while those before it are cut would stay.
            server.close()
            await wire.close()


async def test_a_drop_in_mid_answer_loses_and_doubles_nothing(settings: MeshSettings) -> None:
    sentences = [f"This is sentence number {number}. " for number in range(8)]
    async with (
        scripted(settings, says(*sentences, gap_s=0.4)) as (server, there),
        wired(there) as (wire, far),
        talk(far) as call,
    ):
        await call.conversation.send_text("Count, please.")
        for received in (5, 25):
            await call.until(ReplyAudio, received)
            wire.cut()
            await call.until(SessionReplaced, 1 if received == 5 else 2)
        await call.until(TurnReport)
        await asyncio.sleep(0.3)
    assert all(replaced.resumed for replaced in call.events(SessionReplaced))
    assert len(server.requests) == 1
    assert reply_text(call, 0) == "".join(sentences)
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    ends = np.cumsum([len(piece.data) / 48_000 for piece in pieces])
    begins = [piece.offset.ToNanoseconds() / 1e9 for piece in pieces]
    assert begins[1:] == pytest.approx(ends[:-1].tolist(), abs=0.002)
    assert pieces[-1].is_last
    assert reply_audio(call, 0)
