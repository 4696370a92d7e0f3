"""One turn of the person: what was said, shown and when, from its first sound to the report."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from opentelemetry.trace import Span, format_trace_id

from voxmesh.common.v1 import common_pb2
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_coordinator.turn.events import WordsHeard
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.timeline import AudioTimeline
from voxmesh_runtime import names
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock
from voxmesh_runtime.telemetry import start_span, trace_context

LATEST_CHARACTERS = 1000


def is_same_speech(one: str, other: str) -> bool:
    """Both are the same words, however they are punctuated."""
    return _letters(one) == _letters(other)


def _letters(text: str) -> str:
    # Vowel signs of Indian scripts are marks, and words differ by nothing else.
    return "".join(c for c in text.casefold() if unicodedata.category(c)[0] in "LMN")


def _span() -> Span:
    return start_span(names.SPAN_TURN)


@dataclass(slots=True)
class Pause:
    """The silence in progress.

    Args:
        offset_s: where it began, in seconds of the microphone's audio.
        least_s: its length when it was told.
    """

    offset_s: float
    least_s: float
    probability: float | None = None
    """That the turn is over; None until it is judged."""
    judged_words: str | None = None
    """The words that were judged; None where the sound alone is."""
    hop: UpstreamCallTiming | None = None
    clock: Clock = SYSTEM_CLOCK
    told_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.told_at = self.clock.now()

    @property
    def silence_s(self) -> float:
        """Its length by now."""
        return self.least_s + self.clock.now() - self.told_at

    def verdict(self, words: str) -> float | None:
        """The probability that a turn with these latest words is over; None until they are judged."""
        is_on_them = self.judged_words is None or is_same_speech(self.judged_words, words)
        return self.probability if is_on_them else None

    def lasts(self, silence_s: float) -> None:
        """The turn detector tells its length anew."""
        if silence_s > self.silence_s:
            self.least_s, self.told_at = silence_s, self.clock.now()


@dataclass(slots=True)
class UserTurn:
    """A turn while it is spoken, awaits its transcript, or is answered; the root of its own trace."""

    span: Span = field(default_factory=_span)
    metrics: TurnMetrics = field(default_factory=TurnMetrics)
    texts: list[str] = field(default_factory=list[str])
    images: list[bytes] = field(default_factory=list[bytes])
    seen: str = ""
    """What the pictures show, once that is known."""
    pause: Pause | None = None
    """None while the person speaks."""
    began_s: float = 0.0
    """Where its speech began, in seconds of the microphone's audio."""
    is_over_reply: bool = False
    """It began over a reply and may not be a turn at all."""
    needs_finalize: bool = True
    """Something was said since the last transcript was asked for."""
    finalizing: int = 0
    """Transcripts asked for and not complete."""
    interim: str = ""
    """The latest interim transcript, of what was said since the last final one."""
    words_read: int = 0
    """How many of the words the language model was given to read."""
    speculations: int = 0
    stt_hop: UpstreamCallTiming | None = None
    """The latest request for a final transcript."""
    interim_hop: UpstreamCallTiming | None = None
    """The work on the latest interim transcript of the pause in progress."""

    @property
    def text(self) -> str:
        """All that was said, as far as it is final."""
        return " ".join(text for text in self.texts if text.strip())

    @property
    def words(self) -> str:
        """All that was said, as far as it is known."""
        return f"{self.text} {self.interim}".strip()

    @property
    def latest_words(self) -> str:
        """The end of them, by which it is judged whether they are whole."""
        return self.words[-LATEST_CHARACTERS:]

    @property
    def said(self) -> list[str]:
        """What the history is told of it."""
        return self.said_as(self.text)

    def said_as(self, text: str) -> list[str]:
        """What the history would be told if `text` were all that was said."""
        return [text, self.seen] if self.seen else [text]

    @property
    def is_transcribed(self) -> bool:
        """All that was said is in `text`."""
        return not self.needs_finalize and not self.finalizing

    @property
    def trace_context(self) -> common_pb2.TraceContext:
        """Parent of all spans of the turn."""
        return trace_context(self.span)

    @property
    def trace_id(self) -> str:
        """The trace's id, in hex."""
        return format_trace_id(self.span.get_span_context().trace_id)

    def heard(self, event: WordsHeard, by: common_pb2.Ready) -> None:
        """An interim transcript came in a pause: how the recogniser spent the time is known of the latest."""
        if self.pause is None or event.result.is_final or event.sent_ns is None or event.timing is None:
            return
        self.interim_hop = UpstreamCallTiming(
            f"stt/{by.engine}", by.host, event.sent_ns, is_listening=True, clock=self.metrics.clock
        )
        self.interim_hop.finish(event.timing)

    def pauses_at(self, audio: AudioTimeline, offset_s: float, silence_s: float) -> Pause:
        """Silence since `offset_s` of the microphone's audio, so long by now."""
        self.metrics.speech_ended_ns = audio.time_ns(offset_s)
        self.pause = Pause(offset_s, silence_s, clock=self.metrics.clock)
        return self.pause

    def end(self) -> None:
        """The turn is over, answered or not."""
        self.span.set_attribute(names.TURN_INDEX, self.metrics.turn_index)
        self.span.end()
