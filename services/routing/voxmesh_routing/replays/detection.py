"""What a session said to a turn detector: one that takes over hears what it needs to judge the turn in progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from google.protobuf.duration_pb2 import Duration

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2
from voxmesh_routing.backends import Backend
from voxmesh_routing.timeline import LATE_S, AudioTimeline, Piece
from voxmesh_runtime.clock import duration, seconds_of

Request = turn_pb2.StreamingDetectRequest
Response = turn_pb2.StreamingDetectResponse

QUIET_S = 3.0
"""Audio that is heard again while nobody speaks, in seconds: a slot may have been away so long."""
ALIKE_S = 0.3
"""Two detectors put the same beginning or end of speech no farther apart than this, in seconds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn in progress has this parent."""

    parent: common_pb2.TraceContext


@dataclass(frozen=True, slots=True)
class Words:
    """Its latest words are these by now."""

    text: str
    language_code: str


@dataclass(frozen=True, slots=True)
class NewTurn:
    """It is over: what comes is another one's."""


Unit = Piece | Turn | Words | NewTurn


def judges_words(ready: common_pb2.Ready) -> bool:
    """A detector judges by the words, too."""
    applied = common_pb2.OptionOutcome.OUTCOME_APPLIED
    return any(each.field == "config.transcripts" and each.outcome == applied for each in ready.options)


class DetectorReplay:
    """Keeps the turn in progress and where the one before it ended; no event is reported twice.

    Args:
        config: of every call.
        timeline: the audio.
    """

    awaited = None

    def __init__(self, config: turn_pb2.TurnDetectionConfig, timeline: AudioTimeline) -> None:
        self.settled = 0
        self._config = Request(config=config)
        self._timeline = timeline
        self._floor_s = timeline.end_s
        self._turn: Request | None = None
        self._words = Request()
        self._is_speaking, self._told_s = False, -inf
        # Of the call that was opened last.
        self._base_s = timeline.end_s
        self._is_level = True
        self._judges_words = False

    @property
    def is_owing(self) -> bool:
        """There is audio to be heard."""
        return self._timeline.end_s > self._floor_s or self._turn is not None

    def config_for(self, backend: Backend) -> Request:
        """The same for all backends."""
        del backend
        return self._config

    def sent(self, unit: Unit) -> Sequence[Request]:
        """Take audio and what is known of the turn; see `voxmesh_routing.failover.Replay`."""
        match unit:
            case Piece():
                return [Request(audio=unit.data)]
            case Turn(parent):
                self._turn = Request(trace_context=parent)
                return [self._turn]
            case Words(text, language_code):
                self._words = Request(transcript=turn_pb2.Transcript(text=text, language_code=language_code))
                return self._told_words
            case NewTurn():
                self._floor_s, self._turn, self._words = self._timeline.end_s, None, Request()
                return [Request(new_turn=turn_pb2.NewTurn())]

    def pending(self, ready: common_pb2.Ready) -> Sequence[Request]:
        """The turn in progress; while nobody speaks what may be the beginning of one."""
        self._judges_words = judges_words(ready)
        end_s = self._timeline.end_s
        since_s = end_s - (LATE_S if self._turn is not None else QUIET_S)
        again = self._timeline.since(max(self._floor_s, since_s))
        self._base_s = again[0].begin_s if again else end_s
        self._is_level = not again
        turn = [self._turn, *self._told_words] if self._turn is not None else []
        return [*turn, *(Request(audio=piece.data) for piece in again)]

    def received(self, response: Response) -> Response | None:
        """An answer in the microphone's offsets, unless it was given before."""
        match response.WhichOneof("streaming_response"):
            case "speech_started":
                is_news = self._is_news(response.speech_started, is_speaking=True)
            case "speech_stopped":
                is_news = self._is_news(response.speech_stopped, is_speaking=False)
            case "end_of_turn":
                is_news = self._is_level
                if response.end_of_turn.HasField("received_audio_duration"):
                    self._move(response.end_of_turn.received_audio_duration)
            case _:
                is_news = False
        self.settled += is_news
        return response if is_news else None

    @property
    def _told_words(self) -> Sequence[Request]:
        return [self._words] if self._judges_words and self._words.transcript.text else []

    def _is_news(self, offset: Duration, *, is_speaking: bool) -> bool:
        at_s = self._move(offset)
        if self._is_level or (at_s > self._told_s + ALIKE_S and is_speaking != self._is_speaking):
            self._is_level, self._is_speaking, self._told_s = True, is_speaking, at_s
            return True
        # What is heard again comes up to where its owner is, and is judged from there on.
        self._is_level = is_speaking == self._is_speaking and at_s > self._told_s - ALIKE_S
        return False

    def _move(self, offset: Duration) -> float:
        at_s = seconds_of(offset) + self._base_s
        offset.CopyFrom(duration(at_s))
        return at_s
