"""Where the turn-taking of one session stands: all that the turn machine knows, and only it changes.

phase        Silent ──speech──► Speaking ──pause──► Paused ──► Silent, with its turn committed, discarded or failed
                                    ▲──────speech─────┘
preparing    None, or the reply in preparation for the turn in progress
replying     None, or the reply of the turn committed last, until it is interrupted or fails

A reply can be prepared while another is given, and somebody may speak over one or none: so these are three parts, and
a turn that is committed is no phase but its reply's.

Times are seconds of the session's clock, offsets seconds of the microphone's audio.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_coordinator.turn.words import is_same_speech

LATEST_CHARACTERS = 1000
INAUDIBLE_S = 0.05
"""So little of a reply's audio that is left to play is nothing, in seconds."""


class Overlapping(Enum):
    """How far it is known what a turn is that began over a reply."""

    UNDECIDED = "undecided"
    JUDGING = "judging"
    """It has been asked, and no answer is there."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn while the person speaks or pauses."""

    id: int
    began_s: float = 0.0
    overlap: Overlapping | None = None
    """None once it is known to be a turn: it began over no reply, or it interrupts one."""
    text: str = ""
    """All that was said, as far as it is final."""
    interim: str = ""
    """The latest interim transcript, of what was said since the last final one."""
    images: tuple[bytes, ...] = ()
    needs_finalize: bool = True
    """Something was said since the last final transcript was asked for."""
    words_read: int = 0
    """How many of the words the language model was given to read."""
    speculations: int = 0
    """Replies that were prepared for it."""

    @property
    def words(self) -> str:
        """All that was said, as far as it is known."""
        return f"{self.text} {self.interim}".strip()

    @property
    def latest_words(self) -> str:
        """The end of them, by which it is judged whether they are whole."""
        return self.words[-LATEST_CHARACTERS:]


@dataclass(frozen=True, slots=True)
class Pause:
    """The silence in progress."""

    offset_s: float
    """Where it began."""
    began_at: float
    """When that was, as far as it is known."""
    probability: float | None = None
    """That the turn is over; None until it is judged."""
    judged_words: str | None = None
    """The words that were judged; None where the sound alone is."""
    endable_at: float | None = None
    """When the wait was over; None while it is not."""
    looked_at: float = 0.0
    """When it was looked at last: what its length decides until then is decided."""

    def lasts_at(self, silence_s: float) -> float:
        """When it is so long."""
        return self.began_at + silence_s

    def verdict(self, words: str) -> float | None:
        """The probability that a turn with these latest words is over; None until they are judged."""
        is_on_them = self.judged_words is None or is_same_speech(self.judged_words, words)
        return self.probability if is_on_them else None


@dataclass(frozen=True, slots=True)
class Silent:
    """Nobody speaks, and no turn is in progress."""


@dataclass(frozen=True, slots=True)
class Speaking:
    """Somebody speaks; the latest audio that is known of came at `audio_at`."""

    turn: Turn
    audio_at: float


@dataclass(frozen=True, slots=True)
class Paused:
    """Somebody spoke, and may go on."""

    turn: Turn
    pause: Pause


Phase: TypeAlias = Silent | Speaking | Paused


@dataclass(frozen=True, slots=True)
class Preparing:
    """A reply that nobody hears yet."""

    id: int
    words: str
    """What it answers."""
    is_early: bool = False
    """Begun before it was judged how likely the turn is over."""
    is_ready: bool = False
    """It has something to say."""
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Replying:
    """A reply that is given; once that is done, its audio may still be played."""

    id: int
    is_done: bool = False
    sent_s: float = 0.0
    """Audio that was sent, in seconds; known when it is done."""
    began_at: float = 0.0
    """When the first of it was sent."""
    played_s: float | None = None
    """How far it was played, as the client says; None where it says nothing, and time tells."""

    def is_audible(self, now: float) -> bool:
        """Speech would be over it: it is thought of or said, or its sound is being played."""
        position_s = self.played_s if self.played_s is not None else now - self.began_at
        return not self.is_done or (self.sent_s > 0 and position_s < self.sent_s - INAUDIBLE_S)


@dataclass(frozen=True, slots=True)
class TurnState:
    """All of it."""

    endpointing: Endpointing
    phase: Phase = Silent()
    finalizes_pending: int = 0
    """Final transcripts of the turn in progress that were asked for and are not complete."""
    preparing: Preparing | None = None
    replying: Replying | None = None
    is_held: bool = False
    """The reply was lowered, and the client waits to hear that it goes on or stops."""
    images: tuple[bytes, ...] = ()
    """Pictures for the next reply."""
    recognition_failed: bool = False
    """What is said is not heard, and the client knows."""
    input_ended: bool = False
    input_sequence: int = 0
    """The client's number of the last text or picture that was taken."""
    next_id: int = 1
    """Of the next turn or reply."""
    speculation: bool = True
    """Replies are prepared before a turn is over."""
    max_speculations: int = 3
    pause_s: float = 0.1
    """Length of a pause when it is told of, in seconds."""

    @property
    def turn(self) -> Turn | None:
        """The turn in progress."""
        return None if isinstance(self.phase, Silent) else self.phase.turn

    @property
    def is_running(self) -> bool:
        """A reply is being given; its audio may still be on its way to the person's ear after that."""
        return self.replying is not None and not self.replying.is_done

    @property
    def is_idle(self) -> bool:
        """Nobody speaks, and no answer is on its way."""
        return isinstance(self.phase, Silent) and not self.is_running

    @property
    def is_over(self) -> bool:
        """Nothing will happen any more."""
        return self.input_ended and self.is_idle
