"""Recognition of one session, over gRPC."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_coordinator.cleaning import cleaned
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.turn.events import Event, FinalizeAnswered, ListeningFailed, WordsHeard
from voxmesh_routing.failover import FailoverStream, over_grpc
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.replays.recognition import Discard, Finalize, Recognize, RecognizerReplay, Request, Response, Unit
from voxmesh_routing.timeline import ROUNDING_S, AudioTimeline, Piece
from voxmesh_runtime.clock import seconds_of


class StreamingRecognizer:
    """The `Recognizer` of a session, over gRPC.

    Args:
        services: behind the coordinator.
        config: of recognition.
        timeline: the audio.
        on_event: takes what is heard.
    """

    def __init__(
        self,
        services: BackendRegistry,
        config: stt_pb2.RecognitionConfig,
        timeline: AudioTimeline,
        on_event: Callable[[Event], None],
    ) -> None:
        self._timeline, self._on_event, self._clock = timeline, on_event, services.clock
        self._asked_ns = deque[int]()
        # Replies are prepared from them, and echoes found by them, whether or not the client wants to see them.
        wanted = stt_pb2.RecognitionConfig(interim_results=True)
        wanted.MergeFrom(config)
        self.stream = FailoverStream[Unit, Request, Response](
            services.stt,
            over_grpc(lambda channel: stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize()),
            RecognizerReplay(wanted, timeline),
            on_response=self._take,
            on_failure=self._fail,
            timeouts=services.timeouts,
            languages=list(config.language_codes),
            clock=services.clock,
        )

    @property
    def ready(self) -> common_pb2.Ready:
        """Who recognises."""
        return self.stream.ready

    async def hear(self, piece: Piece) -> None:
        """See `Recognizer`."""
        self.stream.send(piece)
        await self.stream.writable()

    def recognize(self, from_s: float) -> None:
        """See `Recognizer`."""
        self.stream.send(Recognize(from_s))

    def finalize(self, parent: common_pb2.TraceContext) -> None:
        """See `Recognizer`."""
        self._asked_ns.append(self._clock.wall_ns())
        self.stream.send(Finalize(parent))

    def discard(self) -> None:
        """See `Recognizer`."""
        self._asked_ns.clear()
        self.stream.send(Discard())

    async def _take(self, response: Response) -> None:
        if response.HasField("finalized"):
            asked_ns, opened_ns = self._asked_ns.popleft(), self.stream.opened_ns
            self._on_event(FinalizeAnswered(response.finalized.timing, opened_ns if opened_ns > asked_ns else None))
            return
        result, sent_ns = response.result, None
        result.transcript = cleaned(result.transcript)
        if result.HasField("received_audio_duration"):
            sent_ns = self._timeline.time_ns(seconds_of(result.received_audio_duration) - ROUNDING_S)
        timing = copy(result.timing) if result.HasField("timing") else None
        # Between the services alone: the client's audio has other offsets, and its clock is another.
        result.ClearField("timing")
        result.ClearField("received_audio_duration")
        text, language_code = result.transcript, result.language_code
        self._on_event(WordsHeard(text, result.is_final, language_code, result, sent_ns, timing))

    def _fail(self, failure: ServiceFailed) -> None:
        self._on_event(ListeningFailed(failure))
