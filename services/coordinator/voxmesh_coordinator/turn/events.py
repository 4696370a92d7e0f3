"""What happens in a session, as the turn machine sees it, one after another.

Offsets are seconds of the microphone's audio. What is typed `Any` goes past the machine: adapters put it there for one
another, and no decision rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from voxmesh_coordinator.turn.commands import JudgeOverlap
from voxmesh_coordinator.turn.overlap import Overlap


@dataclass(frozen=True, slots=True)
class SessionTakenOver:
    """Another coordinator held the session before; first of all events where it did."""

    is_held: bool
    """It had lowered the reply."""
    reply_id: int | None = None
    """The reply that goes on here."""
    is_done: bool = False
    """That reply was given to its end."""
    sent_s: float = 0.0
    """Its audio that was sent, in seconds."""
    began_at: float = 0.0
    """When its first audio was sent."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The person speaks since `offset_s`."""

    offset_s: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The person paused at `offset_s`."""

    offset_s: float


@dataclass(frozen=True, slots=True)
class EndOfTurnPredicted:
    """The turn detector's judgement on the pause in progress."""

    probability: float
    silence_s: float
    timing: Any = None
    """Its `common.v1.Timing`."""
    sent_ns: int | None = None
    """When the audio that it is of was sent; None when the service does not tell which that was."""
    words: str | None = None
    """The words that were judged beside the sound; None where the sound alone is."""
    is_of_sound: bool = True
    """The times are those of audio, not of words."""


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """An interim or final transcript."""

    text: str
    is_final: bool
    language_code: str = ""
    result: Any = None
    """Its `stt.v1.RecognitionResult`, for the client."""
    sent_ns: int | None = None
    """When the audio that the work on it waited for was sent; None when the service does not tell which that was."""
    timing: Any = None
    """When that work passed through the service, a `common.v1.Timing`; None where it does not tell."""


@dataclass(frozen=True, slots=True)
class FinalizeAnswered:
    """All transcripts that were asked for first are there."""

    timing: Any = None
    """Its `common.v1.Timing`."""
    sent_ns: int | None = None
    """When it was asked of who answered, where that is not who was asked first."""


@dataclass(frozen=True, slots=True)
class OverlapJudged:
    """What speech over a reply is."""

    kind: Overlap
    question: JudgeOverlap
    """What was to be judged."""


@dataclass(frozen=True, slots=True)
class ListeningFailed:
    """Nobody is left who detects turns, or who recognises what is said."""

    failure: Any
    """The service's failure, for the client."""


@dataclass(frozen=True, slots=True)
class ListeningRecovered:
    """What is said is heard again."""


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
    """The client sends nothing any more; its audio ended at `audio_offset_s`."""

    audio_offset_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplyReady:
    """A reply has something to say: audio, a tool call, or its end."""

    reply_id: int


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """A service failed a reply, which still says why."""

    reply_id: int


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """A reply is complete or failed; its audio may still be on its way to the person's ear."""

    reply_id: int
    has_failed: bool = False
    sent_s: float = 0.0
    """Its audio that was sent, in seconds."""
    began_at: float = 0.0
    """When its first audio was sent."""


@dataclass(frozen=True, slots=True)
class PlaybackReached:
    """The client has played so much of a reply, in seconds, and never more than was sent."""

    reply_id: int
    offset_s: float


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The machine's deadline is there; the latest audio came at `audio_at` and ended at `audio_offset_s`."""

    audio_at: float = 0.0
    audio_offset_s: float = 0.0


Event: TypeAlias = (
    SessionTakenOver
    | SpeechStarted
    | SpeechStopped
    | EndOfTurnPredicted
    | WordsHeard
    | FinalizeAnswered
    | OverlapJudged
    | ListeningFailed
    | ListeningRecovered
    | Typed
    | ImageReceived
    | InterruptRequested
    | InputEnded
    | ReplyReady
    | ReplyFailed
    | ReplyFinished
    | PlaybackReached
    | DeadlineReached
)
