"""A caller who speaks to the coordinator in real time, and what is heard back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_client import Conversation, Mesh, MeshSettings
from voxmesh_client.events import Event
from voxmesh_runtime.audio import Samples, read_audio_file

T = TypeVar("T")

RATE_HERTZ = 16_000
FRAME_BYTES = RATE_HERTZ // 50 * 2
QUESTION = Path(__file__).parent.parent / "demo" / "question.wav"
S16 = common_pb2.AudioFormat(encoding=common_pb2.AudioFormat.ENCODING_PCM_S16LE, sample_rate_hertz=RATE_HERTZ)


def pcm(samples: Samples) -> bytes:
    """Samples at 16 kHz as PCM_S16LE."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def question() -> bytes:
    """The demo's question, "What is the capital of France?"."""
    return pcm(read_audio_file(QUESTION)[0])


async def spoken(settings: MeshSettings, text: str) -> bytes:
    """Speech made by the mesh itself, as PCM_S16LE at 16 kHz."""
    config = tts_pb2.SynthesisConfig(audio_format=S16)
    async with Mesh(settings) as mesh:
        pieces = [piece.data async for piece in mesh.text_to_speech.speak(_pieces(text), config)]
    return b"".join(pieces)


async def transcribed(settings: MeshSettings, audio: bytes, rate_hertz: int) -> str:
    """What the mesh's own recogniser hears in PCM_S16LE."""
    audio_format = common_pb2.AudioFormat(encoding=S16.encoding, sample_rate_hertz=rate_hertz)
    config = stt_pb2.RecognitionConfig(audio_format=audio_format)
    chunks = _pieces(*(audio[begin : begin + 9600] for begin in range(0, len(audio), 9600)))
    async with Mesh(settings) as mesh:
        results = [result.transcript async for result in mesh.speech_to_text.transcribe(chunks, config)]
    return " ".join(results)


async def _pieces(*pieces: T) -> AsyncGenerator[T]:
    for piece in pieces:
        yield piece


@dataclass(slots=True)
class Talk:
    """One conversation: audio flows in real time, silence when there is nothing to say."""

    conversation: Conversation
    heard: list[Event] = field(default_factory=list[Event])
    arrived_at: list[float] = field(default_factory=list[float])
    _speech: bytearray = field(default_factory=bytearray)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def say(self, audio: bytes) -> None:
        """Speak from the next frame on."""
        self._speech += audio

    def events(self, kind: type[T]) -> list[T]:
        """All events of a kind so far."""
        return [event for event in self.heard if isinstance(event, kind)]

    async def until(self, kind: type[T], count: int = 1, where: Callable[[T], bool] = lambda _: True) -> T:
        """The `count`-th event of a kind, as soon as it is there."""

        def found() -> list[T]:
            return [event for event in self.events(kind) if where(event)]

        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: len(found()) >= count), 60)
        return found()[count - 1]

    async def speak(self) -> None:
        """Send a frame every 20 ms."""
        due = time.monotonic()
        while True:
            frame = bytes(self._speech[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
            del self._speech[:FRAME_BYTES]
            await self.conversation.send_audio(frame)
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def listen(self) -> None:
        """Take events."""
        async for event in self.conversation:
            async with self._changed:
                self.heard.append(event)
                self.arrived_at.append(time.monotonic())
                self._changed.notify_all()


@asynccontextmanager
async def talk(settings: MeshSettings, *, interim_results: bool = True, **config: Any) -> AsyncGenerator[Talk]:
    """A spoken conversation."""
    recognition = stt_pb2.RecognitionConfig(audio_format=S16, interim_results=interim_results)
    async with _held(settings, conversation_pb2.ConversationConfig(recognition=recognition, **config)) as held:
        speaking = asyncio.create_task(held.speak())
        yield held
        speaking.cancel()


@asynccontextmanager
async def chat(settings: MeshSettings, **config: Any) -> AsyncGenerator[Talk]:
    """A typed conversation with text replies."""
    async with _held(settings, conversation_pb2.ConversationConfig(text_replies_only=True, **config)) as held:
        yield held


@asynccontextmanager
async def _held(settings: MeshSettings, config: conversation_pb2.ConversationConfig) -> AsyncGenerator[Talk]:
    async with Mesh(settings) as mesh, mesh.conversation(config) as conversation:
        held = Talk(conversation)
        listening = asyncio.create_task(held.listen())
        try:
            yield held
        finally:
            listening.cancel()


def reply_text(talk: Talk, turn_index: int) -> str:
    """The text of one reply."""
    pieces = talk.events(conversation_pb2.ReplyText)
    return "".join(piece.delta for piece in pieces if piece.turn_index == turn_index)


def reply_audio(talk: Talk, turn_index: int) -> bytes:
    """The audio of one reply, 24 kHz PCM_S16LE."""
    pieces = talk.events(conversation_pb2.ReplyAudio)
    return b"".join(piece.data for piece in pieces if piece.turn_index == turn_index)
