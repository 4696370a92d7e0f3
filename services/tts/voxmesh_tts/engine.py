"""What a speech synthesiser must offer to be served.

    Engine   the loaded model, shared by all streams
     └─ Session   one stream's options and state, opened by the engine and closed exactly once

An engine's distribution has an entry point in the group `voxmesh.tts.engines` that names a
`create(EngineContext) -> Engine`. Every method is called on the engine's one worker thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engines import ModelFacts
from voxmesh_runtime.outcomes import Outcome


PROSODY_RATE: Final = "prosody rate"
"""In `EngineInfo.ssml_elements`: `Session.synthesize` takes the argument `pace` too; see `PacedSession`."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice of a model."""

    name: str
    language_codes: tuple[str, ...]
    """BCP-47 tags it speaks, its own first."""


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
    instruction: bool = False
    """Sessions follow `SynthesisOptions.instruction`."""
    clause_limits: ClauseLimits = field(default_factory=ClauseLimits)
    reads_numbers: bool = False
    """The engine says numbers, dates, abbreviations and signs well by itself, and gets them as they are written.

    Of any other engine the service writes them out in words. Markdown and emoji are never left in.
    """
    ssml_elements: frozenset[str] = frozenset()
    """Of SSML what the engine can do and the service cannot do for it; see `PROSODY_RATE`."""


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
            clause: text with its closing punctuation, without mark-up and line breaks; in English and
                in Indian languages without digits too, unless the engine `reads_numbers`.
        """
        ...

    def close(self) -> None:
        """Free everything; called once, whatever happened."""
        ...


class PacedSession(Protocol):
    """A session whose clauses may each have a speed of their own."""

    def synthesize(self, clause: str, pace: float = 1.0) -> Iterator[Samples | SpokenWord]:
        """See `Session.synthesize`; `pace` is a multiple of the stream's own speed."""
        ...


class Engine(Protocol):
    """The loaded model."""

    @property
    def info(self) -> EngineInfo:
        """What the model is and can do; complete after `load`."""
        ...

    def load(self) -> None:
        """Fetch and load the model."""
        ...

    def warm_up(self) -> None:
        """Run once, so that the first caller does not pay for it."""
        ...

    def open(self, options: SynthesisOptions) -> Session:
        """A session for one stream.

        Raises:
            InvalidArgument: an option that this engine cannot take in any way.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...
