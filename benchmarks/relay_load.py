"""Streams of 20 ms frames against one server, and the CPU time that it spends on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import psutil

from benchmarks.processes import cpu_s
from benchmarks.speech import FRAME_S
from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client.asking import spoken_config
from voxmesh_client.sound import silence
from voxmesh_runtime.channels import open_plain_channel

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
Call: TypeAlias = "grpc.aio.StreamStreamCall[Request, Response]"

RATE_HERTZ = 16_000
FRAME = silence(RATE_HERTZ, FRAME_S)
"""640 bytes; the voice detector hears at once that it holds no speech."""
ACKNOWLEDGED_EVERY = 25
"""Frames between two acknowledgements of the coordinator."""
_WINDOW = 2 * ACKNOWLEDGED_EVERY
"""Frames of one stream on their way at once when nothing paces them."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server and how it answers."""

    name: str
    address: str
    process: psutil.Process
    acknowledges: bool
    """True for the coordinator, which answers silence with an acknowledgement now and then; False for an echo."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is sent."""

    streams: int
    frames: int
    """Of each stream; whole acknowledgements."""
    paced: bool
    """At the pace of speech; else as fast as the answers come."""


class FrameStream:
    """One stream: sends frames and counts those that are answered."""

    def __init__(self, call: Call, *, acknowledges: bool) -> None:
        self._call = call
        self._acknowledges = acknowledges
        self._sent = 0
        self._answered = 0
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Send the config and wait until it is accepted."""
        await self._call.write(Request(config=spoken_config(RATE_HERTZ)))
        await self._call.read()

    async def run(self, load: Load, delay_s: float) -> None:
        """Send frames, the first after `delay_s`, and wait until all are answered."""
        reading = asyncio.create_task(self._read(self._sent + load.frames))
        await asyncio.sleep(delay_s)
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(load.frames):
            if load.paced:
                due += FRAME_S
                await asyncio.sleep(due - loop.time())
            else:
                await self._room()
            audio = conversation_pb2.AudioChunk(sequence=self._sent, data=FRAME)
            await self._call.write(Request(audio=audio))
            self._sent += 1
        await reading

    def cancel(self) -> None:
        """End the stream."""
        self._call.cancel()

    async def _room(self) -> None:
        while self._sent - self._answered >= _WINDOW:
            self._changed.clear()
            await self._changed.wait()

    async def _read(self, until: int) -> None:
        while self._answered < until:
            response = await self._call.read()
            if not isinstance(response, Response):
                raise ConnectionError(f"the stream ended: {await self._call.details()}")
            if self._acknowledges:
                self._answered = max(self._answered, response.audio_acknowledged + 1)
            else:
                self._answered += 1
            self._changed.set()


@asynccontextmanager
async def open_streams(target: Target, count: int) -> AsyncGenerator[list[FrameStream]]:
    """Streams of one channel, each accepted."""
    async with open_plain_channel(target.address) as channel:
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        streams = [FrameStream(stub.Converse(), acknowledges=target.acknowledges) for _ in range(count)]
        try:
            await asyncio.gather(*(stream.open() for stream in streams))
            yield streams
        finally:
            for stream in streams:
                stream.cancel()


async def cost_us(target: Target, load: Load) -> float:
    """Microseconds of the server's CPU for one frame."""
    async with open_streams(target, load.streams) as streams:
        before = cpu_s(target.process)
        # Staggered over a frame's time, as those of people who know nothing of one another.
        step_s = FRAME_S / load.streams
        await asyncio.gather(*(stream.run(load, index * step_s) for index, stream in enumerate(streams)))
        return 1e6 * (cpu_s(target.process) - before) / (load.streams * load.frames)
