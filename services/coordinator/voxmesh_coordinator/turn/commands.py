"""What the turn machine wants done, in this order, by adapters that enqueue it and wait for nothing.

Turns and replies have ids, which count in a session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class SendSpeechStarted:
    """Tell the client that somebody speaks since `offset_s` of the microphone's audio."""

    offset_s: float


@dataclass(frozen=True, slots=True)
class StartRecognition:
    """Recognise what is said from a little before `from_s` on, if that is not done yet."""

    turn_id: int
    from_s: float


@dataclass(frozen=True, slots=True)
class Finalize:
    """Ask for all that was said so far as final transcripts."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class ReportWords:
    """Tell the turn detector the latest words of the turn in progress."""

    text: str
    language_code: str


@dataclass(frozen=True, slots=True)
class BeginNewTurn:
    """The turn is over and its transcript complete: the next speech is another turn's."""

    is_settled: bool = False
    """It was no turn: nobody needs its audio any more."""


@dataclass(frozen=True, slots=True)
class DiscardAudio:
    """The turn failed: recognition gets no more of it."""


@dataclass(frozen=True, slots=True)
class JudgeOverlap:
    """Find out what the speech over the reply is; `OverlapJudged` answers it."""

    words: str
    is_final: bool
    """The words will not change."""
    began_s: float
    paused_s: float | None
    """Where the speech paused; None while it goes on."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """Have the language model read what its next request most likely begins with: the conversation and these words."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class PrepareReply:
    """Begin a reply that nobody hears before its turn is committed."""

    reply_id: int
    turn_id: int
    words: str
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class DropReply:
    """Throw the reply in preparation away."""


@dataclass(frozen=True, slots=True)
class HoldReply:
    """Somebody speaks over the reply: lower it, and send nothing more of it."""


@dataclass(frozen=True, slots=True)
class ResumeReply:
    """It was nothing: the reply goes on where it stopped."""


@dataclass(frozen=True, slots=True)
class InterruptReply:
    """Stop the reply that is given; the history keeps what was heard of it."""

    is_cancelled: bool = False
    """The client asked for it, and no speech."""
    is_done: bool = False
    """It was given to its end, and only its sound stops."""
    is_held: bool = False
    """It had been lowered."""


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """The turn is over: tell the client, and give the reply that was prepared last."""

    turn_id: int
    text: str
    speech_ended_s: float | None = None
    """Where its speech ended; None for one that was typed."""
    endable_at: float | None = None
    """When the wait alone would have let it end."""
    is_prepared: bool = False
    """Its reply began before it was over."""


@dataclass(frozen=True, slots=True)
class FinishReply:
    """The reply that is given came to its end: tell the client why, and where its time went."""


@dataclass(frozen=True, slots=True)
class DiscardTurn:
    """It was no turn."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class FailTurn:
    """Nothing of the turn was understood: tell the client why."""

    turn_id: int
    failure: Any
    """See `ListeningFailed`."""


@dataclass(frozen=True, slots=True)
class MoveStreams:
    """Nobody waits for an answer: streams may move to better servers; those that listen too if nobody speaks."""

    is_silent: bool


Command: TypeAlias = (
    SendSpeechStarted
    | StartRecognition
    | Finalize
    | ReportWords
    | BeginNewTurn
    | DiscardAudio
    | JudgeOverlap
    | Prefill
    | PrepareReply
    | DropReply
    | HoldReply
    | ResumeReply
    | InterruptReply
    | CommitTurn
    | FinishReply
    | DiscardTurn
    | FailTurn
    | MoveStreams
)
