"""The person's audio on its way to turn detection, and while somebody speaks to recognition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh.turn.v1 import turn_pb2
from voxmesh_coordinator.listening.recognizer import StreamingRecognizer
from voxmesh_coordinator.listening.retention import Retention
from voxmesh_coordinator.listening.turn_detector import StreamingTurnDetector
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.turn.events import Event, SpeechStarted, SpeechStopped
from voxmesh_routing.failover import FailoverStream
from voxmesh_routing.timeline import AudioTimeline, Piece
from voxmesh_runtime.audio import AudioFormat, Decoder, Encoding
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock, duration
from voxmesh_runtime.errors import InvalidArgument

Hear = Callable[[Event], None]


class TurnDetector(Protocol):
    """Gives SpeechStarted, SpeechStopped, EndOfTurnPredicted; ListeningFailed once none is left, ListeningRecovered."""

    @property
    def ready(self) -> common_pb2.Ready:
        """Who detects."""
        ...

    async def hear(self, piece: Piece, /) -> None:
        """Take the next piece of audio; waits while no more is taken."""
        ...

    def follow_turn(self, parent: common_pb2.TraceContext, /) -> None:
        """Judgements from here on are part of this trace."""
        ...

    def report_words(self, text: str, language_code: str, /) -> None:
        """The words of the turn in progress."""
        ...

    def begin_new_turn(self) -> None:
        """The turn in progress is over."""
        ...


class Recognizer(Protocol):
    """Gives WordsHeard, one FinalizeAnswered each finalize, and ListeningFailed when none is left for what is said."""

    @property
    def ready(self) -> common_pb2.Ready:
        """Who recognises."""
        ...

    async def hear(self, piece: Piece, /) -> None:
        """Take the next piece of audio, if somebody speaks; waits while no more is taken."""
        ...

    def recognize(self, from_s: float, /) -> None:
        """Somebody speaks: recognise the audio from a moment on."""
        ...

    def finalize(self, parent: common_pb2.TraceContext, /) -> None:
        """What was said so far is wanted as final."""
        ...

    def discard(self) -> None:
        """Nobody speaks any more, and what has no answer is of no use."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How a microphone listens."""

    audio_format: AudioFormat
    pause_s: float
    """Silence that counts as a pause, in seconds."""
    pre_roll_s: float = 0.5
    """Audio before the start of speech that the recogniser gets, too, in seconds."""
    shows_interim_results: bool = False
    """The client wants to see them."""
    may_skip: bool = False
    """The client need not have kept all audio since the place where it begins."""


class Microphone:
    """How a session listens: all that is asked of it is enqueued, in order with the audio, and none of it waits.

    Args:
        settings: how it listens.
        timeline: its audio, which may begin where another coordinator stopped.
        detector: gets all audio; its events come to `detected`.
        recognizer: gets the audio while somebody speaks.
        on_event: takes what the detector hears.
        streams: that both rest on.
        clock: of the process.
    """

    def __init__(
        self,
        settings: Settings,
        timeline: AudioTimeline,
        detector: TurnDetector,
        recognizer: Recognizer,
        on_event: Hear,
        *,
        streams: Sequence[FailoverStream[Any, Any, Any]] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings, self.timeline, self._clock, self._on_event = settings, timeline, clock, on_event
        self.detector, self.recognizer, self.streams = detector, recognizer, streams
        self.last_audio_at = clock.now()
        self._decoder = Decoder(settings.audio_format, "audio.data")
        self._may_skip = settings.may_skip
        self._is_recognizing = False
        self._words = ""
        self._stopped_s = 0.0
        self._turn_end_s = timeline.end_s
        self._needed = Retention(timeline)

    @property
    def needed(self) -> session_pb2.Microphone:
        """The first piece of audio that another replica would need."""
        return self._needed.place()

    def detected(self, event: Event) -> None:
        """The turn detector has heard something."""
        match event:
            case SpeechStarted():
                self._stopped_s = inf
            case SpeechStopped(offset_s):
                self._stopped_s = offset_s
            case _:
                pass
        self._on_event(event)

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
            await self.detector.hear(piece)
            await self.recognizer.hear(piece)
        return timeline.next_sequence - 1

    def start_recognition(self, from_s: float, parent: common_pb2.TraceContext) -> None:
        """Speech began: recognition gets the audio from a little before that on."""
        self.detector.follow_turn(parent)
        if not self._is_recognizing:
            self._is_recognizing = True
            self._needed.turn_began(from_s)
            # What was heard of the turn before is not heard again.
            begin_s = max(from_s - self.settings.pre_roll_s, min(self._turn_end_s, from_s))
            self.recognizer.recognize(begin_s)

    def finalize(self, parent: common_pb2.TraceContext) -> None:
        """What was said so far is wanted as final; recognition goes on."""
        self.recognizer.finalize(parent)

    def report_words(self, text: str, language_code: str) -> None:
        """The latest words of the turn in progress are these by now: turn detection judges by them, too."""
        if self._is_recognizing and text != self._words:
            self._words = text
            self.detector.report_words(text, language_code)

    def begin_new_turn(self) -> None:
        """The turn is over, and its transcript complete: the next speech is a new turn's."""
        self._end_turn(min(self._stopped_s + self.settings.pause_s, self.timeline.end_s))

    def discard_audio(self) -> None:
        """The turn failed: nobody gets more of it."""
        self._end_turn(self.timeline.end_s)

    def settle(self) -> None:
        """The turn that ended last is kept in words, or was none: its audio is needed no more."""
        self._needed.settle()

    def _end_turn(self, at_s: float) -> None:
        self._needed.turn_ended(at_s)
        self._turn_end_s = at_s
        self._is_recognizing, self._words = False, ""
        # Silence since the transcript; the next turn is not to begin with it.
        self.recognizer.discard()
        self.detector.begin_new_turn()

    def _check(self, data: bytes) -> None:
        # Only floats need a look at their values; the rest is right by its length.
        size = self.settings.audio_format.bytes_per_frame
        if self.settings.audio_format.encoding is Encoding.F32LE:
            self._decoder.check(data)
        elif not data or len(data) % size or len(data) > 64 * 1024:
            raise InvalidArgument("audio.data", f"{len(data)} bytes are not 1 to 65536 in whole frames of {size}")


def open_microphone(
    services: BackendRegistry,
    config: stt_pb2.RecognitionConfig,
    on_event: Hear,
    *,
    pause_s: float,
    place: session_pb2.Microphone,
    may_skip: bool,
) -> Microphone:
    """A microphone over the services of a session.

    Args:
        services: behind the coordinator.
        config: of recognition.
        on_event: takes what is heard.
        pause_s: silence that counts as a pause, in seconds.
        place: where the audio goes on that another coordinator has got before.
        may_skip: the client need not have kept all of it since then.

    Raises:
        InvalidArgument: a field of the config is outside its limits.
    """
    audio_format = AudioFormat.from_proto(config.audio_format, "config.recognition.audio_format")
    timeline = AudioTimeline(audio_format, place.next_sequence, place.offset_s)
    settings = Settings(audio_format, pause_s, services.settings.pre_roll_s, config.interim_results, may_skip)
    turn_config = turn_pb2.TurnDetectionConfig(
        audio_format=config.audio_format, min_silence_duration=duration(pause_s), transcripts=True
    )

    def detected(event: Event) -> None:
        microphone.detected(event)

    detector = StreamingTurnDetector(services, turn_config, timeline, detected)
    recognizer = StreamingRecognizer(services, config, timeline, on_event)
    streams = [detector.stream, recognizer.stream]
    microphone = Microphone(settings, timeline, detector, recognizer, on_event, streams=streams, clock=services.clock)
    return microphone
