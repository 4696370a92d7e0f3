"""The person's audio on its way to turn detection, and while somebody speaks to recognition."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from math import inf
from typing import Any

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_coordinator.cleaning import cleaned
from voxmesh_coordinator.listening import recognizer, turn_detector
from voxmesh_coordinator.listening.recognizer import ROUNDING_S, Discard, Finalize, Recognize, RecognizerReplay
from voxmesh_coordinator.listening.timeline import AudioTimeline, Retention
from voxmesh_coordinator.listening.turn_detector import DetectorReplay, NewTurn, Turn, Words, judges_words
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.turn.events import (
    EndOfTurnPredicted,
    Event,
    FinalizeAnswered,
    ListeningFailed,
    ListeningRecovered,
    SpeechStarted,
    SpeechStopped,
    WordsHeard,
)
from voxmesh_routing.failover import FailoverStream, over_grpc
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.audio import AudioFormat, Decoder, Encoding, Samples
from voxmesh_runtime.clock import duration, seconds_of
from voxmesh_runtime.errors import InvalidArgument


class Microphone:
    """The `turn.listening.Listening` of a session: forwards audio, takes a silence of `pause_s` as a pause.

    `place` is where the audio goes on that another coordinator has got before; if it may skip, the client need not have
    kept all of it since then.
    """

    def __init__(
        self,
        services: BackendRegistry,
        config: stt_pb2.RecognitionConfig,
        on_event: Callable[[Event], None],
        *,
        pause_s: float,
        place: session_pb2.Microphone,
        may_skip: bool,
    ) -> None:
        self._clock, self._on_event = services.clock, on_event
        self._format = AudioFormat.from_proto(config.audio_format, "config.recognition.audio_format")
        self._decoder = Decoder(self._format, "audio.data")
        self._pre_roll_s = services.settings.pre_roll_s
        self.pause_s = pause_s
        self.shows_interim_results = config.interim_results
        self.timeline = AudioTimeline(self._format, place)
        self.last_audio_at = self._clock.now()
        self.turn = FailoverStream[turn_detector.Unit, turn_detector.Request, turn_detector.Response](
            services.turn,
            over_grpc(lambda channel: turn_pb2_grpc.TurnDetectionServiceStub(channel).StreamingDetect()),
            DetectorReplay(
                turn_pb2.TurnDetectionConfig(
                    audio_format=config.audio_format, min_silence_duration=duration(pause_s), transcripts=True
                ),
                self.timeline,
            ),
            on_response=self._on_turn,
            on_failure=self._turn_failed,
            timeouts=services.timeouts,
            clock=services.clock,
        )
        self.stt = FailoverStream[recognizer.Unit, recognizer.Request, recognizer.Response](
            services.stt,
            over_grpc(lambda channel: stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize()),
            RecognizerReplay(_with_interim_results(config), self.timeline),
            on_response=self._on_stt,
            on_failure=self._stt_failed,
            timeouts=services.timeouts,
            languages=list(config.language_codes),
            clock=services.clock,
        )
        self.turn.watchers.append(self._turn_opened)
        self._is_deaf = False
        self._is_recognizing = False
        self._words = ""
        self._needed = Retention(self.timeline)
        self._may_skip = may_skip
        self._stopped_s = 0.0

    @property
    def streams(self) -> list[FailoverStream[Any, Any, Any]]:
        """The streams to the services."""
        return [self.turn, self.stt]

    @property
    def needed(self) -> session_pb2.Microphone:
        """The first piece of audio that another replica would need."""
        return self._needed.place()

    def heard(self, begin_s: float, end_s: float) -> Samples:
        """The samples from one moment to another, as far as they are kept."""
        return self.timeline.samples(begin_s, end_s)

    async def chunk(self, chunk: conversation_pb2.AudioChunk) -> int:
        """Take the next piece of audio; repeats are dropped. Returns the last sequence taken.

        Waits while the services take no more: the client is held back by it.

        Raises:
            InvalidArgument: a piece is missing, or it is no audio of the format.
        """
        timeline = self.timeline
        if self._may_skip and chunk.sequence > timeline.next_sequence:
            timeline.skip_to(chunk.sequence, chunk.data)
        if chunk.sequence > timeline.next_sequence:
            problem = f"must be {timeline.next_sequence}, the next one, not {chunk.sequence}"
            raise InvalidArgument("audio.sequence", problem)
        if chunk.sequence == timeline.next_sequence:
            self._check(chunk.data)
            self._may_skip = False
            self.last_audio_at = self._clock.now()
            piece = timeline.add(chunk.data, self._clock.wall_ns())
            for stream in (self.turn, self.stt):
                stream.send(piece)
                await stream.writable()
        return timeline.next_sequence - 1

    def start_recognition(self, from_s: float, parent: common_pb2.TraceContext) -> None:
        """Speech began: recognition gets the audio from a little before that on."""
        self.turn.send(Turn(parent))
        if not self._is_recognizing:
            self._is_recognizing = True
            self._needed.turn_began(from_s)
            self.stt.send(Recognize(from_s - self._pre_roll_s))

    def finalize(self, parent: common_pb2.TraceContext) -> None:
        """What was said so far is wanted as final; recognition goes on."""
        self.stt.send(Finalize(parent))

    def report_words(self, text: str, language_code: str) -> None:
        """The latest words of the turn in progress are these by now: turn detection judges by them, too."""
        if self._is_recognizing and text != self._words:
            self._words = text
            self.turn.send(Words(text, language_code))

    def begin_new_turn(self) -> None:
        """The turn is over, and its transcript complete: the next speech is a new turn's."""
        self._end_turn(min(self._stopped_s + self.pause_s, self.timeline.end_s))

    def discard_audio(self) -> None:
        """The turn failed: nobody gets more of it."""
        self._end_turn(self.timeline.end_s)

    def settle(self) -> None:
        """The turn that ended last is kept in words, or was none: its audio is needed no more."""
        self._needed.settle()

    def _end_turn(self, at_s: float) -> None:
        self._needed.turn_ended(at_s)
        self._is_recognizing, self._words = False, ""
        # Silence since the transcript; the next turn is not to begin with it.
        self.stt.send(Discard())
        self.turn.send(NewTurn())

    def _check(self, data: bytes) -> None:
        # Only floats need a look at their values; the rest is right by its length.
        if self._format.encoding is Encoding.F32LE:
            self._decoder.check(data)
        elif not data or len(data) % self._format.bytes_per_frame or len(data) > 64 * 1024:
            size = self._format.bytes_per_frame
            raise InvalidArgument("audio.data", f"{len(data)} bytes are not 1 to 65536 in whole frames of {size}")

    def _turn_failed(self, failure: ServiceFailed) -> None:
        # It is tried again with the audio that comes: only the first failure is news.
        if not self._is_deaf:
            self._is_deaf = True
            self._on_event(ListeningFailed(failure))

    def _turn_opened(self, failure: ServiceFailed | None) -> None:
        if failure is None and self._is_deaf:
            self._is_deaf = False
            self._on_event(ListeningRecovered())

    def _stt_failed(self, failure: ServiceFailed) -> None:
        self._on_event(ListeningFailed(failure))

    async def _on_turn(self, response: turn_detector.Response) -> None:
        match response.WhichOneof("streaming_response"):
            case "speech_started":
                self._stopped_s = inf
                self._on_event(SpeechStarted(seconds_of(response.speech_started)))
            case "speech_stopped":
                self._stopped_s = seconds_of(response.speech_stopped)
                self._on_event(SpeechStopped(self._stopped_s))
            case _:
                end, by_words = response.end_of_turn, judges_words(self.turn.ready)
                self._on_event(
                    EndOfTurnPredicted(
                        end.probability,
                        seconds_of(end.silence_duration),
                        end.timing,
                        sent_ns=self._sent_ns(end),
                        words=end.transcript if by_words else None,
                        is_of_sound=end.HasField("received_audio_duration") or not by_words,
                    )
                )

    async def _on_stt(self, response: recognizer.Response) -> None:
        if response.HasField("finalized"):
            self._on_event(FinalizeAnswered(response.finalized.timing, self.stt.opened_ns))
            return
        result = response.result
        result.transcript = cleaned(result.transcript)
        sent_ns, timing = self._sent_ns(result), copy(result.timing) if result.HasField("timing") else None
        # Between the services alone: the client's audio has other offsets, and its clock is another.
        result.ClearField("timing")
        result.ClearField("received_audio_duration")
        self._on_event(WordsHeard(result, sent_ns, timing))

    def _sent_ns(self, answer: turn_pb2.EndOfTurn | stt_pb2.RecognitionResult) -> int | None:
        """When the audio that an answer rests on went to its service, and not after that."""
        if not answer.HasField("received_audio_duration"):
            return None
        return self.timeline.time_ns(seconds_of(answer.received_audio_duration) - ROUNDING_S)


def _with_interim_results(config: stt_pb2.RecognitionConfig) -> stt_pb2.RecognitionConfig:
    """Replies are prepared from them, and echoes told by them, whether or not the client wants to see them."""
    wanted = stt_pb2.RecognitionConfig(interim_results=True)
    wanted.MergeFrom(config)
    return wanted
