"""Turn detection of one session, over gRPC."""

from __future__ import annotations

from collections.abc import Callable

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.turn.events import (
    EndOfTurnPredicted,
    Event,
    ListeningFailed,
    ListeningRecovered,
    SpeechStarted,
    SpeechStopped,
)
from voxmesh_routing.failover import FailoverStream, over_grpc
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.replays.detection import (
    DetectorReplay,
    NewTurn,
    Request,
    Response,
    Turn,
    Unit,
    Words,
    judges_words,
)
from voxmesh_routing.timeline import ROUNDING_S, AudioTimeline, Piece
from voxmesh_runtime.clock import seconds_of


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
