"""One reply between a language model and a voice, whatever becomes of either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.state import ReplyFinished, SessionState
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.sent_audio import SentAudio
from voxmesh_coordinator.reply.speech_handle import SpeechHandle
from voxmesh_coordinator.reply.tools import ToolCallTracker
from voxmesh_coordinator.reply.upstreams import (
    Generated,
    GenerationEvent,
    Served,
    SpeechEvent,
    Spoken,
    SpokenAudio,
    Written,
)
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_coordinator.turn.events import Event, ReplyFailed, ReplyReady
from voxmesh_coordinator.turn.events import ReplyFinished as ReplyEnded
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.replays.synthesis import Begun
from voxmesh_runtime.audio import AudioFormat

pytestmark = pytest.mark.unit

FORMAT = AudioFormat(sample_rate_hertz=8000)
SECOND = bytes(16_000)
GONE = ServiceFailed("tts at x", grpc.StatusCode.UNAVAILABLE, "gone")
REFUSED = ServiceFailed("tts at x", grpc.StatusCode.INVALID_ARGUMENT, "no such words")


class Model:
    """A `LanguageModel` that writes these words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    @asynccontextmanager
    async def generate(self, request: llm_pb2.Generate) -> AsyncGenerator[AsyncIterator[GenerationEvent]]:
        del request
        yield self._write()

    def prefill(self, request: llm_pb2.Generate) -> None:
        raise NotImplementedError

    async def _write(self) -> AsyncIterator[GenerationEvent]:
        yield Served(common_pb2.Ready(engine="writer"), 1)
        for word in self.words:
            yield Written(word)
            await asyncio.sleep(0)
        yield Generated((), llm_pb2.Finished.REASON_STOP, common_pb2.Timing())


class Mouth:
    """A `Voice`: gives these events once all is said, or breaks with the last of them."""

    def __init__(self, *events: SpeechEvent | ServiceFailed, is_there: bool = True) -> None:
        self._events, self._is_there = events, is_there
        self._is_said = asyncio.Event()
        self.said: list[str] = []
        self.begun: Begun | None = None

    async def is_there(self) -> bool:
        return self._is_there

    @asynccontextmanager
    async def speak(self, parent: common_pb2.TraceContext, begun: Begun | None = None) -> AsyncGenerator[Mouth]:
        del parent
        self.begun = begun
        yield self

    def say(self, text: str) -> None:
        self.said.append(text)

    def end(self) -> None:
        self._is_said.set()

    async def __aiter__(self) -> AsyncIterator[SpeechEvent]:
        await self._is_said.wait()
        for event in self._events:
            if isinstance(event, ServiceFailed):
                raise event
            yield event


def audio(offset_s: float, start: int, end: int) -> SpokenAudio:
    piece = session_pb2.SpokenPiece(text_start=start, text_end=end, offset_s=offset_s, duration_s=1.0)
    return SpokenAudio(piece, SECOND)


SERVED, SPOKEN = Served(common_pb2.Ready(engine="mouth"), 7), Spoken(common_pb2.Timing())
WORDS = ("It is ", "Paris.")


class Scene:
    """One reply, its client, and what is kept of it."""

    def __init__(
        self, voice: Mouth | None, *words: str, saved: session_pb2.Reply | None = None, line: str = ""
    ) -> None:
        self.sent: list[conversation_pb2.ConverseResponse] = []
        self.notes: list[session_pb2.Record] = []
        parts = ReplyParts(
            Model(*words),
            voice,
            SessionState(session_pb2.State(), 4000),
            SentAudio(FORMAT),
            ToolCallTracker([], 1.0),
            system_prompt="",
            tool_rounds=1,
            filler="",
            filler_after_s=None,
            note=self.notes.append,
            writable=self._writable,
            streams=(),
            line=lambda reason: line if reason == ReplyFinished.REASON_FAILED else "",
        )
        self.events: list[Event] = []
        self.reply = SpeechHandle(
            1, UserTurn("Where?"), parts, send=self.sent.append, put=self.events.append, saved=saved
        )
        self.reply.gate.open()

    async def run(self) -> None:
        services = BackendRegistry(CoordinatorSettings())
        self.reply.start(services)
        assert self.reply.task is not None
        await self.reply.task
        await services.close()

    async def _writable(self) -> None:
        """There is always room."""

    @property
    def text(self) -> str:
        return "".join(each.reply_text.delta for each in self.sent)

    @property
    def pieces(self) -> Sequence[tuple[float, bool]]:
        """Where each piece of audio lies, and whether it is the last."""
        found = [each.reply_audio for each in self.sent if each.HasField("reply_audio")]
        return [(each.offset.seconds + each.offset.nanos / 1e9, each.is_last) for each in found]


async def test_words_go_to_the_client_and_to_the_voice_and_its_audio_to_the_client() -> None:
    voice = Mouth(SERVED, session_pb2.SpokenWord(text="It"), audio(0.0, 0, 12), audio(1.0, 0, 12), SPOKEN)
    scene = Scene(voice, *WORDS)
    await scene.run()
    assert (scene.text, voice.said) == ("It is Paris.", list(WORDS))
    assert scene.pieces == [(0.0, False), (1.0, False), (2.0, True)]
    assert [(hop.service, hop.sent_ns) for hop in scene.reply.output.hops] == [("llm/writer", 1), ("tts/mouth", 7)]
    assert [piece.piece.offset_s for piece in scene.notes if piece.HasField("piece")] == [0.0, 1.0]
    assert [word.text for note in scene.notes for word in note.words] == ["It"]


async def test_each_backend_that_speaks_a_part_has_a_time_of_its_own() -> None:
    other = Served(common_pb2.Ready(engine="other"), 9)
    scene = Scene(Mouth(SERVED, audio(0.0, 0, 5), other, audio(1.0, 6, 12), SPOKEN), *WORDS)
    await scene.run()
    assert [hop.service for hop in scene.reply.output.hops] == ["llm/writer", "tts/mouth", "tts/other"]
    assert [hop.finished_ns is not None for hop in scene.reply.output.hops] == [True, False, True]


@pytest.mark.parametrize(("spoken", "pieces"), [([], []), ([audio(0.0, 0, 5)], [(0.0, False), (1.0, True)])])
async def test_without_a_voice_that_is_left_the_rest_is_read(
    spoken: Sequence[SpokenAudio], pieces: Sequence[tuple[float, bool]]
) -> None:
    scene = Scene(Mouth(SERVED, *spoken, GONE), *WORDS)
    await scene.run()
    assert (scene.text, scene.pieces) == ("It is Paris.", pieces)
    assert scene.reply.output.playout.heard_text() == "It is Paris."
    assert not scene.reply.has_failed


async def test_a_voice_that_refuses_the_words_fails_the_reply_and_the_operator_s_line_is_read() -> None:
    scene = Scene(Mouth(SERVED, REFUSED), *WORDS, line="Sorry.")
    await scene.run()
    assert scene.reply.end.failed.message == REFUSED.message
    assert [type(event) for event in scene.events] == [ReplyFailed, ReplyReady, ReplyEnded]
    assert scene.text == "It is Paris. Sorry."


@pytest.mark.parametrize("voice", [None, Mouth(is_there=False)], ids=["text alone", "the voice is away"])
async def test_a_reply_in_text_has_no_audio(voice: Mouth | None) -> None:
    scene = Scene(voice, *WORDS)
    await scene.run()
    assert (scene.text, scene.pieces) == ("It is Paris.", [])
    assert scene.reply.output.playout.is_shown


async def test_a_reply_that_another_coordinator_began_is_spoken_from_its_last_clause_on() -> None:
    pieces = [
        session_pb2.SpokenPiece(text_start=0, text_end=3, offset_s=0.0, duration_s=1.0),
        session_pb2.SpokenPiece(text_start=4, text_end=6, offset_s=1.0, duration_s=1.0),
    ]
    saved = session_pb2.Reply(said="Where?", text="Yes. It is ", pieces=pieces, received_s=1.5)
    voice = Mouth(SERVED, audio(2.0, 4, 6), SPOKEN)
    scene = Scene(voice, "Paris.", saved=saved)
    await scene.run()
    assert voice.begun == Begun("Yes. It is ", 4, 1.0, known_s=2.0, got_s=2.0)
    assert (scene.text, voice.said) == ("Paris.", ["Paris."])
    assert scene.pieces == [(2.0, False), (3.0, True)]
