"""What a session gave a voice to speak and is not spoken: one that takes over speaks the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_routing.backends import Backend
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import duration, seconds_of

Request = tts_pb2.StreamingSynthesizeRequest
Response = tts_pb2.StreamingSynthesizeResponse

MAX_PIECE_CHARACTERS = 10_000
CHARACTERS_PER_S = 14.0
"""Text spoken in a second, where nothing better is known."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What another session said of a reply: the last clause that is known is spoken again, without what was got."""

    text: str
    text_start: int
    """First character of that clause."""
    offset_s: float
    """Where it begins in the reply's audio."""
    known_s: float
    """Audio whose clauses are known; that clause ends no earlier."""
    got_s: float
    """Audio that the listener has got, at least as much."""


@dataclass(frozen=True, slots=True)
class Speak:
    """A reply is to be spoken, in place of the one before; numbered in the session."""

    number: int
    parent: common_pb2.TraceContext
    begun: Begun | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """The next piece of its text."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """Its text is complete."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """A reply is not to be spoken any more."""

    number: int


Unit = Speak | Say | End | Cancel


@dataclass(slots=True)
class _Segment:
    """A reply as far as its text is known and its audio was made."""

    speak: Speak
    text: str = ""
    is_ended: bool = False
    made_s: float = 0.0
    clause: tuple[float, int, int] | None = None
    """Where the clause in progress begins in the reply's audio, and its first character and the one after its last."""

    @property
    def spoken_characters(self) -> int:
        """Characters that are spoken, about: of the clause in progress by how fast people speak."""
        if self.clause is None:
            return 0
        begin_s, start, end = self.clause
        spoken = start + round((self.made_s - begin_s) * CHARACTERS_PER_S)
        return end if spoken >= end else max(start, self.text.rfind(" ", 0, spoken + 1) + 1)


class VoiceReplay:
    """Keeps the reply in progress and how far it is spoken; answers have the reply's own offsets and characters.

    Args:
        config: of every call.
        audio_format: of the audio that it asks for.
    """

    awaited = None

    def __init__(self, config: tts_pb2.SynthesisConfig, audio_format: AudioFormat) -> None:
        self.settled = 0
        self._config = Request(config=config)
        self._bytes_per_frame, self._rate_hertz = audio_format.bytes_per_frame, audio_format.sample_rate_hertz
        self._segment: _Segment | None = None
        # Of the call that was opened last.
        self._count = 0
        self._index: int | None = None
        self._base_s, self._base_text = 0.0, 0

    @property
    def is_owing(self) -> bool:
        """There is text that is not spoken."""
        return self._segment is not None and bool(self._segment.text)

    def config_for(self, backend: Backend) -> Request:
        """The same for all backends."""
        del backend
        return self._config

    def sent(self, unit: Unit) -> Sequence[Request]:
        """Take what is to be said; see `voxmesh_routing.failover.Replay`."""
        segment = self._segment
        match unit:
            case Speak():
                before = self._cancel()
                self._segment = _Segment(unit, unit.begun.text if unit.begun is not None else "")
                return [*before, *self._begin(self._segment)]
            case Say(text) if segment is not None:
                segment.text += text
                return self._texts(segment, text)
            case End() if segment is not None:
                segment.is_ended = True
                return self._end(segment)
            case Cancel(number) if segment is not None and segment.speak.number == number:
                return self._cancel()
            case _:
                return []

    def pending(self, ready: common_pb2.Ready) -> Sequence[Request]:
        """The rest of the reply in progress."""
        del ready
        self._count = 0
        segment = self._segment
        return [] if segment is None else [*self._begin(segment), *(self._end(segment) if segment.is_ended else ())]

    def received(self, response: Response) -> Response | None:
        """An answer of the reply in progress, in its own offsets and characters."""
        kind, segment = response.WhichOneof("streaming_response") or "", self._segment
        if segment is None or getattr(response, kind).segment_index != self._index:
            return None
        getattr(response, kind).segment_index = segment.speak.number
        match kind:
            case "audio":
                return response if self._take_audio(segment, response.audio) else None
            case "word_timing":
                for offset in (response.word_timing.start_offset, response.word_timing.end_offset):
                    offset.CopyFrom(duration(self._base_s + seconds_of(offset)))
            case "segment_finished":
                self._segment = None
                self.settled += 1
            case _:
                pass
        return response

    def seconds(self, data: bytes) -> float:
        """Length of a piece of audio."""
        return len(data) / self._bytes_per_frame / self._rate_hertz

    def _take_audio(self, segment: _Segment, audio: tts_pb2.SegmentAudio) -> bool:
        """Move a piece of audio into its place; False where the listener has got all of it."""
        begun = segment.speak.begun
        known_s, got_s = (begun.known_s, begun.got_s) if begun is not None else (0.0, 0.0)
        begin_s = self._base_s + seconds_of(audio.offset)
        made_s = max(segment.made_s, known_s)
        if begin_s < min(made_s, got_s) and audio.text_start > 0:
            # The clause that another session began is shorter this time: what follows it is not cut.
            self._base_s += made_s - begin_s
            begin_s = made_s
        end_s = begin_s + self.seconds(audio.data)
        audio.data = audio.data[max(0, round((got_s - begin_s) * self._rate_hertz)) * self._bytes_per_frame :]
        if not audio.data and end_s <= known_s:
            return False
        audio.offset.CopyFrom(duration(max(begin_s, got_s)))
        audio.text_start += self._base_text
        audio.text_end += self._base_text
        segment.made_s = end_s
        if segment.clause is None or segment.clause[1] != audio.text_start:
            segment.clause = (begin_s, audio.text_start, audio.text_end)
        return bool(audio.data)

    def _begin(self, segment: _Segment) -> Sequence[Request]:
        """Speak what is not spoken."""
        begun = segment.speak.begun
        if segment.clause is not None:
            self._base_s, self._base_text = segment.made_s, segment.spoken_characters
        elif begun is not None:
            self._base_s, self._base_text = begun.offset_s, begun.text_start
        else:
            self._base_s, self._base_text = 0.0, 0
        self._index = None
        continues = segment.clause is None and self._base_text > 0
        return self._texts(segment, segment.text[self._base_text :], continues=continues)

    def _texts(self, segment: _Segment, text: str, *, continues: bool = False) -> Sequence[Request]:
        pieces = [text[begin : begin + MAX_PIECE_CHARACTERS] for begin in range(0, len(text), MAX_PIECE_CHARACTERS)]
        if pieces:
            self._start()
        parent = segment.speak.parent
        return [
            Request(text=tts_pb2.SegmentText(text=piece, trace_context=parent, continues=continues)) for piece in pieces
        ]

    def _end(self, segment: _Segment) -> Sequence[Request]:
        if not segment.text:
            return []
        self._start()
        return [Request(end_of_segment=tts_pb2.EndOfSegment())]

    def _start(self) -> None:
        """The service numbers a segment with its first message."""
        if self._index is None:
            self._index, self._count = self._count, self._count + 1

    def _cancel(self) -> Sequence[Request]:
        was_begun, self._segment, self._index = self.is_owing, None, None
        return [Request(cancel=tts_pb2.Cancel())] if was_begun else []
