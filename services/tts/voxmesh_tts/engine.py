"""What a speech synthesiser must offer to be served.

    Engine   the loaded model, shared by all streams
     └─ Session   one stream's options and state, opened by the engine and closed exactly once

Threads and entry points: see `voxmesh_runtime.engine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias

from voxmesh.tts.v1 import tts_pb2
from voxmesh_runtime import engine
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.outcomes import Outcome


class Gender(Enum):
    """What a voice sounds like; the numbers are the contract's."""

    UNKNOWN = tts_pb2.Voice.GENDER_UNSPECIFIED
    FEMALE = tts_pb2.Voice.GENDER_FEMALE
    MALE = tts_pb2.Voice.GENDER_MALE
    NEUTRAL = tts_pb2.Voice.GENDER_NEUTRAL


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice of a model."""

    name: str
    language_codes: tuple[str, ...]
    """BCP-47 tags it speaks, its own first."""
    gender: Gender = Gender.UNKNOWN


@dataclass(frozen=True, slots=True)
class ClauseLimits:
    """Lengths of clauses in characters that suit the engine; sentences end a clause at any length."""

    first_minimum: int = 12
    """Least length of a segment's first clause that a comma may end; short, so that speech starts early."""
    first_maximum: int = 80
    """Length after which a segment's first clause ends at a space."""
    minimum: int = 40
    """Least length of the other clauses that a comma may end."""
    maximum: int = 200
    """Length after which the other clauses end at a space."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded model is and can do."""

    facts: ModelFacts
    sample_rate_hertz: int
    voices: tuple[Voice, ...]
    """The default first; at least one."""
    word_time_offsets: bool = False
    """Sessions yield each `SpokenWord` when the caller asks for them."""
    voice_cloning: bool = False
    """Sessions take their voice from `SynthesisOptions.voice_reference`."""
    voice_blends: bool = False
    """`SynthesisOptions.voice` may also blend voices, such as "af_heart:0.7+bf_emma:0.3"."""
    instruction: bool = False
    """Sessions follow `SynthesisOptions.instruction`."""
    clause_limits: ClauseLimits = field(default_factory=ClauseLimits)
    max_batch_size: int = 1
    """Clauses of different streams that one step may hold; above 1 the engine is a `BatchingEngine`."""


@dataclass(frozen=True, slots=True, eq=False)
class VoiceReference:
    """A recording of a voice to imitate."""

    samples: Samples
    """1 to 30 seconds at the model's own sample rate."""
    transcript: str


@dataclass(frozen=True, slots=True, eq=False)
class SynthesisOptions:
    """What the caller asked for; already checked against the contract's limits."""

    voice: str
    """Name of one of the model's voices."""
    language_code: str
    """BCP-47 tag that the voice speaks."""
    speaking_rate: float | None = None
    """In [0.25, 4]; None when the caller left it open."""
    word_time_offsets: bool = False
    instruction: str = ""
    """Empty unless the model follows instructions."""
    voice_reference: VoiceReference | None = None
    """None unless the model clones voices."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Where a word lies; times in seconds from the start of the clause's audio."""

    text: str
    start_s: float
    end_s: float


class Session(Protocol):
    """One stream's options and state."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How `speaking_rate`, `instruction` and `voice_reference` were taken.

        Only of those that the options hold; fields as `config.<path>`.
        """
        ...

    def synthesize(self, clause: str) -> Iterator[Samples | SpokenWord]:
        """Speak one clause, piece by piece; the generator is closed early when the caller cancels.

        Every piece is mono audio at the model's sample rate, of any length. The pause that
        belongs after the clause is part of its audio. A clause that holds nothing the model
        can speak gives no audio and is no error.

        Args:
            clause: text with its closing punctuation, without mark-up and line breaks.
        """
        ...

    def close(self) -> None:
        """Free everything; called once, whatever happened."""
        ...


class Engine(engine.Engine[EngineInfo], Protocol):
    """The loaded model."""

    def open(self, options: SynthesisOptions) -> Session:
        """A session for one stream.

        Raises:
            InvalidArgument: an option that this engine cannot take in any way.
        """
        ...


class BatchingEngine(Engine, Protocol):
    """An engine that makes the next pieces of several streams at once."""

    def step(self, clauses: Sequence[Iterator[Samples | SpokenWord]]) -> Sequence[Samples | SpokenWord | None]:
        """The next piece of each of 1 to `max_batch_size` clauses; None where one is over.

        Args:
            clauses: iterators that `Session.synthesize` of different sessions gave.

        Raises:
            SomeFailed: of `voxmesh_runtime.batcher`; the others' pieces are in it.
        """
        ...


Host: TypeAlias = EngineHost[Engine, EngineInfo]
"""Owns a service's engine."""
