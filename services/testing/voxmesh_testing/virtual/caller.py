"""The client's end of a conversation: the true client library, a person who speaks in real pace, and a loudspeaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.conversation import Conversation
from voxmesh_client.endpoint import Endpoint
from voxmesh_client.errors import MeshError
from voxmesh_client.events import Event
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR
from voxmesh_testing.virtual.network import Network
from voxmesh_testing.virtual.speech import RATE_HERTZ, echo

T = TypeVar("T")

REPLY_HERTZ = 24_000
FRAME_S = 0.02
TOLD_EVERY_S = 0.1
"""How often the playback position is told, in seconds."""
WAIT_S = 60.0
"""Longest wait for an event, in seconds of virtual time."""
S16 = common_pb2.AudioFormat(encoding=common_pb2.AudioFormat.ENCODING_PCM_S16LE, sample_rate_hertz=RATE_HERTZ)


class Loudspeaker:
    """Plays one reply after another, as far as its audio is there."""

    def __init__(self) -> None:
        self.turn_index = -1
        self.position_s = 0.0
        self.is_stopped = True
        self._audio = bytearray()

    @property
    def is_playing(self) -> bool:
        """Not all that is there was played."""
        return not self.is_stopped and self.position_s < len(self._audio) / 2 / REPLY_HERTZ

    def take(self, event: Event) -> None:
        """What a client does with what it hears."""
        match event:
            case conversation_pb2.ReplyAudio():
                if event.turn_index != self.turn_index:
                    self.turn_index, self.position_s, self._audio = event.turn_index, 0.0, bytearray()
                    self.is_stopped = False
                self._audio += event.data
            case conversation_pb2.Interrupted() if event.turn_index == self.turn_index:
                self.is_stopped = True
            case _:
                pass

    def advance(self, seconds: float) -> bytes:
        """Play on; gives what the microphone hears of it, as PCM_S16LE at 16 kHz."""
        there_s = len(self._audio) / 2 / REPLY_HERTZ
        if not self.is_playing:
            return b""
        begin_s, self.position_s = self.position_s, min(there_s, self.position_s + seconds)
        return echo(bytes(self._audio), REPLY_HERTZ, begin_s, self.position_s - begin_s)


class Caller:
    """One conversation: audio flows in real pace, silence when there is nothing to say.

    Args:
        conversation: which is open.
        frame_s: length of a message of audio, in seconds.
        plays: replies are played, and how far they were is told.
        echoes: the microphone hears them.
    """

    def __init__(
        self, conversation: Conversation, *, frame_s: float = FRAME_S, plays: bool = False, echoes: bool = False
    ) -> None:
        self.conversation = conversation
        self.heard: list[Event] = []
        self.times: list[float] = []
        """When each of `heard` came, by the loop's clock."""
        self.loudspeaker = Loudspeaker()
        self.is_muted = False
        """The microphone sends nothing."""
        self._frame_s, self._frame_bytes = frame_s, 2 * round(frame_s * RATE_HERTZ)
        self._plays, self._echoes = plays, echoes
        self._speech = bytearray()
        self._changed = asyncio.Condition()

    def say(self, audio: bytes) -> None:
        """Speak from the next frame on, after what is being said."""
        self._speech += audio

    @property
    def is_speaking(self) -> bool:
        """Not all is said yet."""
        return bool(self._speech)

    async def said(self) -> None:
        """Wait until all is said."""
        while self.is_speaking:  # noqa: ASYNC110 # every frame takes some of it
            await asyncio.sleep(self._frame_s)

    def events(self, kind: type[T]) -> list[T]:
        """All events of a kind so far."""
        return [event for event in self.heard if isinstance(event, kind)]

    def time_of(self, event: Event) -> float:
        """When it came, by the loop's clock."""
        return next(at for at, each in zip(self.times, self.heard, strict=True) if each is event)

    async def until(self, kind: type[T], count: int = 1, where: Callable[[T], bool] = lambda _: True) -> T:
        """The `count`-th event of a kind, as soon as it is there."""
        found, looked_at = list[T](), 0

        def is_there() -> bool:
            nonlocal looked_at
            news, looked_at = self.heard[looked_at:], len(self.heard)
            found.extend(event for event in news if isinstance(event, kind) and where(event))
            return len(found) >= count

        async with self._changed:
            try:
                async with asyncio.timeout(WAIT_S):
                    await self._changed.wait_for(is_there)
            except TimeoutError:
                came = ", ".join(type(event).__name__ for event in self.heard[-20:])
                problem = f"no {kind.__name__} number {count} within {WAIT_S:g} s; last came {came}"
                raise AssertionError(problem) from None
        return found[count - 1]

    async def ask(self, text: str, turn_index: int) -> conversation_pb2.TurnReport:
        """A typed turn, to its report."""
        await self.conversation.send_text(text)
        return await self.until(conversation_pb2.TurnReport, where=lambda report: report.turn_index == turn_index)

    def reply_text(self, turn_index: int) -> str:
        """The text of one reply."""
        pieces = self.events(conversation_pb2.ReplyText)
        return "".join(piece.delta for piece in pieces if piece.turn_index == turn_index)

    def reply_audio(self, turn_index: int) -> bytes:
        """The audio of one reply, PCM_S16LE at 24 kHz."""
        pieces = self.events(conversation_pb2.ReplyAudio)
        return b"".join(piece.data for piece in pieces if piece.turn_index == turn_index)

    async def live(self, *, has_microphone: bool) -> None:
        """Listen, speak and play until cancelled, or until the conversation is over."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            if has_microphone:
                tasks.create_task(self._speak())

    async def _listen(self) -> None:
        with suppress(MeshError):
            async for event in self.conversation:
                async with self._changed:
                    self.heard.append(event)
                    self.times.append(asyncio.get_running_loop().time())
                    self.loudspeaker.take(event)
                    self._changed.notify_all()

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        due, told_at, is_told = loop.time(), 0.0, True
        with suppress(MeshError):
            while True:
                sounding = self.loudspeaker.advance(self._frame_s) if self._plays else b""
                frame = self._next_frame(sounding if self._echoes else b"")
                if not self.is_muted:
                    await self.conversation.send_audio(frame)
                is_told = is_told and not sounding
                if not is_told and (loop.time() - told_at >= TOLD_EVERY_S or not self.loudspeaker.is_playing):
                    told_at, is_told = loop.time(), True
                    await self.conversation.played(self.loudspeaker.turn_index, self.loudspeaker.position_s)
                due += self._frame_s
                await asyncio.sleep(max(0.0, due - loop.time()))

    def _next_frame(self, echoed: bytes) -> bytes:
        said = bytes(self._speech[: self._frame_bytes]).ljust(self._frame_bytes, b"\0")
        del self._speech[: self._frame_bytes]
        # Who speaks is nearer to the microphone than the loudspeaker is.
        return said if self._speech or any(said) else echoed.ljust(self._frame_bytes, b"\0")


@asynccontextmanager
async def spoken(
    network: Network, target: str, *, interim_results: bool = True, recognition: Any = None, **how: Any
) -> AsyncGenerator[Caller]:
    """A conversation with a microphone; `how` are a Caller's arguments and fields of the config."""
    if recognition is None:
        recognition = stt_pb2.RecognitionConfig(audio_format=S16, interim_results=interim_results)
    async with _held(network, target, how, has_microphone=True, recognition=recognition) as caller:
        yield caller


@asynccontextmanager
async def typed(network: Network, target: str, **how: Any) -> AsyncGenerator[Caller]:
    """A conversation without a microphone; as `spoken`."""
    async with _held(network, target, how, has_microphone=False) as caller:
        yield caller


@asynccontextmanager
async def _held(
    network: Network, target: str, how: dict[str, Any], *, has_microphone: bool, **fixed: Any
) -> AsyncGenerator[Caller]:
    own = {name: how.pop(name) for name in ("frame_s", "plays", "echoes") if name in how}
    settings = MeshSettings(coordinator_target=target)
    endpoint = Endpoint(COORDINATOR, settings, connect=network.channel)
    config = conversation_pb2.ConversationConfig(**fixed, **how)
    try:
        async with Conversation(endpoint, config) as conversation:
            caller = Caller(conversation, **own)
            living = asyncio.create_task(caller.live(has_microphone=has_microphone))
            try:
                yield caller
            finally:
                living.cancel()
                await asyncio.wait({living})
    finally:
        await endpoint.close()
