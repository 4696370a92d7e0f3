"""Turn detection of one session: a detector that takes over hears what it needs to judge the turn in progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from google.protobuf.duration_pb2 import Duration

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_coordinator.listening.timeline import LATE_S, ROUNDING_S, AudioTimeline, Piece
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.turn.events import (
    EndOfTurnPredicted,
    Event,
    ListeningFailed,
    ListeningRecovered,
    SpeechStarted,
    SpeechStopped,
)
from voxmesh_routing.backends import Backend
from voxmesh_routing.failover import FailoverStream, over_grpc
from voxmesh_routing.failures import ServiceFailed
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


class StreamingTurnDetector:
    """The `TurnDetector` of a session, over gRPC.

    Args:
        services: behind the coordinator.
        config: of turn detection.
        timeline: the audio.
        on_event: takes what is heard.
    """

    def __init__(
        self,
        services: BackendRegistry,
        config: turn_pb2.TurnDetectionConfig,
        timeline: AudioTimeline,
        on_event: Callable[[Event], None],
    ) -> None:
        self._timeline, self._on_event = timeline, on_event
        self._is_lost = False
        self.stream = FailoverStream[Unit, Request, Response](
            services.turn,
            over_grpc(lambda channel: turn_pb2_grpc.TurnDetectionServiceStub(channel).StreamingDetect()),
            DetectorReplay(config, timeline),
            on_response=self._take,
            on_failure=self._fail,
            timeouts=services.timeouts,
            clock=services.clock,
        )
        self.stream.watchers.append(self._opened)

    @property
    def ready(self) -> common_pb2.Ready:
        """Who detects."""
        return self.stream.ready

    async def hear(self, piece: Piece) -> None:
        """See `TurnDetector`."""
        self.stream.send(piece)
        await self.stream.writable()

    def follow_turn(self, parent: common_pb2.TraceContext) -> None:
        """See `TurnDetector`."""
        self.stream.send(Turn(parent))

    def report_words(self, text: str, language_code: str) -> None:
        """See `TurnDetector`."""
        self.stream.send(Words(text, language_code))

    def begin_new_turn(self) -> None:
        """See `TurnDetector`."""
        self.stream.send(NewTurn())

    async def _take(self, response: Response) -> None:
        match response.WhichOneof("streaming_response"):
            case "speech_started":
                self._on_event(SpeechStarted(seconds_of(response.speech_started)))
            case "speech_stopped":
                self._on_event(SpeechStopped(seconds_of(response.speech_stopped)))
            case _:
                self._on_event(self._prediction(response.end_of_turn))

    def _prediction(self, end: turn_pb2.EndOfTurn) -> EndOfTurnPredicted:
        by_words, is_of_sound = judges_words(self.ready), end.HasField("received_audio_duration")
        sent_ns = None
        if is_of_sound:
            sent_ns = self._timeline.time_ns(seconds_of(end.received_audio_duration) - ROUNDING_S)
        return EndOfTurnPredicted(
            end.probability,
            seconds_of(end.silence_duration),
            end.timing,
            sent_ns=sent_ns,
            words=end.transcript if by_words else None,
            is_of_sound=is_of_sound or not by_words,
        )

    def _fail(self, failure: ServiceFailed) -> None:
        # It is tried again with the audio that comes: only the first failure is news.
        if not self._is_lost:
            self._is_lost = True
            self._on_event(ListeningFailed(failure))

    def _opened(self, failure: ServiceFailed | None) -> None:
        if failure is None and self._is_lost:
            self._is_lost = False
            self._on_event(ListeningRecovered())
