"""What a turn detector must offer to be served.

    Engine   the loaded models, shared by all streams; judges by the sound whether a person has finished
     ├─ Session   all state of one stream, opened by the engine and closed exactly once
     └─ WordJudge   judges by the words, where the engine can

Threads and entry points: see `voxmesh_runtime.engine`. Beyond that rule, a new stream need not wait
for the judgements of others: `open` is called on any thread; a session's methods are called on the
server's event loop, see `Session.feed`; the judge of words has a thread of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from voxmesh_runtime import engine
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded models are and can do."""

    facts: ModelFacts
    sample_rate_hertz: int = 16000
    semantic_end_of_turn: bool = True
    """Judges from what was said; False when only silence is measured."""
    max_batch_size: int = 1
    """Judgements that one run of the model may make."""


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """What the caller asked for, checked against the contract's limits; None is the engine's choice."""

    activation_threshold: float | None = None
    """Probability of speech in (0, 1)."""
    min_speech_s: float | None = None
    min_silence_s: float | None = None
    transcripts: bool = False
    """The caller sends the words, too."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The words of a turn up to now."""

    text: str
    language_code: str = ""
    """BCP-47; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at `offset_s` of the stream's audio: where it began, not where it was noticed."""

    offset_s: float


@dataclass(frozen=True, slots=True, eq=False)
class SpeechStopped:
    """Speech ended at `offset_s`, and the silence since is as long as asked for."""

    offset_s: float
    turn: Samples
    """The turn's audio up to now, as much as the engine judges by; never changed afterwards."""


Event: TypeAlias = SpeechStarted | SpeechStopped


class Session(Protocol):
    """One stream's state."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How each option that the caller set was taken; fields as `config.<path>`."""
        ...

    def feed(self, samples: Samples) -> Sequence[Event]:
        """Take the stream's next samples and give what they complete, in audio order.

        Called on the event loop with at most `voxmesh_turn.detection.STEP_S` of audio: it may
        compute for a few milliseconds and must not wait. Starts and stops alternate.
        """
        ...

    def new_turn(self) -> None:
        """Forget the audio of the turn before; offsets, and speech in progress, go on."""
        ...

    def close(self) -> None:
        """Free everything; called once, whatever happened."""
        ...


class WordJudge(Protocol):
    """A model of what people say; its blocking methods are called on a worker thread of its own."""

    def load(self) -> None:
        """Fetch and load the model; does nothing when it is loaded."""
        ...

    def warm_up(self) -> None:
        """Run once, so that the first caller does not pay for it."""
        ...

    def judge(self, transcripts: Sequence[Transcript]) -> Sequence[float | None]:
        """The probability in [0, 1] that a turn with these words is over; None where the words tell nothing.

        Args:
            transcripts: one, with words in it.
        """
        ...

    def weigh(self, by_sound: float, by_words: float) -> float:
        """The probability in [0, 1] from both; called on the event loop."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class Engine(engine.Engine[EngineInfo], Protocol):
    """The loaded models."""

    @property
    def words(self) -> WordJudge | None:
        """Judges words beside the sound; None where the engine judges by sound alone."""
        ...

    def open(self, options: DetectionOptions) -> Session:
        """A session for one stream.

        Raises:
            InvalidArgument: an option that this engine cannot take in any way.
        """
        ...

    def judge(self, turns: Sequence[Samples]) -> Sequence[float]:
        """The probability in [0, 1] that each of 1 to `max_batch_size` turns is over.

        Args:
            turns: what `SpeechStopped.turn` held.
        """
        ...


Host: TypeAlias = EngineHost[Engine, EngineInfo]
"""Owns a service's engine."""
