"""What happens in a session, as its conductor sees it, one after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_routing.failures import ServiceFailed

if TYPE_CHECKING:
    from voxmesh_coordinator.reply.pipeline import ReplyPipeline


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The person speaks since `offset_s` of the microphone's audio."""

    offset_s: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The person paused at `offset_s` of the microphone's audio."""

    offset_s: float


@dataclass(frozen=True, slots=True)
class EndOfTurnPredicted:
    """The turn detector's judgement on the pause in progress."""

    probability: float
    silence_s: float
    timing: common_pb2.Timing
    sent_ns: int | None = None
    """When the audio that it is of was sent; None when the service does not tell which that was."""
    words: str | None = None
    """The words that were judged beside the sound; None where the sound alone is."""
    is_of_sound: bool = True
    """The times are those of audio, not of words."""


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """An interim or final transcript; offsets are the microphone's."""

    result: stt_pb2.RecognitionResult
    sent_ns: int | None = None
    """When the audio that the work on it waited for was sent; None when the service does not tell which that was."""
    timing: common_pb2.Timing | None = None
    """When that work passed through the service; None where it does not tell."""


@dataclass(frozen=True, slots=True)
class FinalizeAnswered:
    """All transcripts that were asked for first are there."""

    timing: common_pb2.Timing
    sent_ns: int | None = None
    """When it was asked of who answered, where that is not who was asked first."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The person typed a turn."""

    text: str
    input_sequence: int = 0
    """The client's number of it; 0 when it has none."""


@dataclass(frozen=True, slots=True)
class ImageReceived:
    """The person sent a picture for the turn in progress or the next."""

    image: bytes
    input_sequence: int = 0
    """See Typed."""


@dataclass(frozen=True, slots=True)
class InterruptRequested:
    """The client wants the reply to stop."""


@dataclass(frozen=True, slots=True)
class InputEnded:
    """The client sends nothing any more."""


@dataclass(frozen=True, slots=True)
class ReplyReady:
    """A reply has something to say."""

    reply: ReplyPipeline


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """A reply is complete, or failed."""

    reply: ReplyPipeline


@dataclass(frozen=True, slots=True)
class ListeningFailed:
    """No turn detection, or no recognition of a turn, is left."""

    failure: ServiceFailed


@dataclass(frozen=True, slots=True)
class ListeningRecovered:
    """Speech is heard again."""


Event: TypeAlias = (
    SpeechStarted
    | SpeechStopped
    | EndOfTurnPredicted
    | WordsHeard
    | FinalizeAnswered
    | Typed
    | ImageReceived
    | InterruptRequested
    | InputEnded
    | ReplyReady
    | ReplyDone
    | ListeningFailed
    | ListeningRecovered
)
