"""What a speech recogniser must offer to be served.

    Engine   the loaded model, shared by all streams; steps many sessions at once if it batches
     └─ Session   all state of one stream, opened by the engine and closed exactly once

Threads and entry points: see `voxmesh_runtime.engine`.
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
    """What the loaded model is and can do."""

    facts: ModelFacts
    sample_rate_hertz: int = 16000
    streaming: bool = True
    """Gives interim transcripts while audio still arrives."""
    mixed_languages: bool = False
    word_time_offsets: bool = False
    phrase_biasing: bool = False
    context_biasing: bool = False
    max_batch_size: int = 1
    """Sessions that one step may hold."""
    step_s: float = 0.1
    """Shortest audio, in seconds, worth a step before the utterance is finalized."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A term to favour; `boost` is in (0, 10]."""

    text: str
    boost: float = 1.0


@dataclass(frozen=True, slots=True)
class RecognitionOptions:
    """What the caller asked for; already checked against the contract's limits."""

    language_codes: tuple[str, ...] = ()
    """BCP-47 tags that the model accepts, likeliest first; empty lets it detect."""
    interim_results: bool = False
    word_time_offsets: bool = False
    phrases: tuple[Phrase, ...] = ()
    context: str = ""
    max_latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word; times in seconds of the session's audio, from its first sample."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None = None
    language_code: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of the utterance in progress, or of one that the engine ended."""

    text: str
    is_final: bool = False
    stable_character_count: int = 0
    confidence: float | None = None
    language_code: str = ""
    words: tuple[Word, ...] = ()
    end_s: float | None = None
    """End of the recognised audio in seconds of the session's audio; None for all of it."""


class Session(Protocol):
    """One stream's state."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How each option beyond language and interim results was taken; fields as `config.<path>`."""
        ...

    def discard(self) -> None:
        """Forget the utterance in progress."""
        ...

    def close(self) -> None:
        """Free everything; called once, whatever happened."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """New audio of one session; after the last of an utterance `is_final` is set."""

    session: Session
    samples: Samples
    is_final: bool


class Engine(engine.Engine[EngineInfo], Protocol):
    """The loaded model."""

    def open(self, options: RecognitionOptions) -> Session:
        """A session for one stream.

        Raises:
            InvalidArgument: an option that this engine cannot take in any way.
        """
        ...

    def step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        """Take the new audio of 1 to `max_batch_size` different sessions.

        Returns:
            For each step its new transcripts in order, none if nothing is new: final ones of
            utterances that the engine ended, then at most one interim. A step with `is_final`
            gives at least one, and its last is final.

        Raises:
            SomeFailed: of `voxmesh_runtime.batcher`; the others' transcripts are in it.
        """
        ...


Host: TypeAlias = EngineHost[Engine, EngineInfo]
"""Owns a service's engine."""
