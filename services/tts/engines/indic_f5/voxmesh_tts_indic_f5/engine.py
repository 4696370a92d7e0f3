"""IndicF5 behind the service's seam: one clause in, its audio out, in the voice of a recording."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Self

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Outcome, applied, approximated
from voxmesh_tts.engine import PROSODY_RATE, ClauseLimits, EngineInfo, SynthesisOptions, Voice
from voxmesh_tts.silence import joined
from voxmesh_tts_indic_f5.checkpoint import HERTZ, HOP_SAMPLES, PUBLISHED
from voxmesh_tts_indic_f5.references import Reference, UnusableReference
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.sounds import pieces, sayable, sounds
from voxmesh_tts_indic_f5.voices import LANGUAGES

if TYPE_CHECKING:
    # Importing the libraries takes seconds, in which the server should already say that it loads.
    from voxmesh_tts_indic_f5.loading import Loaded
    from voxmesh_tts_indic_f5.model import IndicF5

MIN_RATE = 0.3
MAX_RATE = 2.0
"""What F5-TTS offers its users."""
MOST_S = 22.0
"""Of recording and speech together, as the library has it: it was trained on less than 30 s at once."""
LEAST_S = 0.6
"""Of speech: the model leaves sounds out of what is shorter; silence around them is cut off again."""
CLAUSES = ClauseLimits(first_minimum=12, first_maximum=50, minimum=40, maximum=110)
"""Nothing is heard of a clause before all of it is made; 110 letters take some 10 s to say."""

_REFERENCE = "config.voice_reference"


class IndicF5Engine:
    """One model for all streams; see `voxmesh_tts.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: IndicF5Settings) -> None:
        self._context = context
        self._settings = settings
        self._checkpoint = PUBLISHED.find(context.model)
        self._loaded: Loaded | None = None
        self._info: EngineInfo | None = None

    @property
    def info(self) -> EngineInfo:
        """What the model is and can do; known from the first `load` on."""
        if self._info is None:
            raise RuntimeError("load() comes before the first use")
        return self._info

    def load(self) -> None:
        """Load the model and its voices; does nothing when they are loaded.

        Raises:
            ModelError: the files are not to be had.
            FailedPrecondition: they are none of such a model, a voice is of no use, or the operator's device fails.
        """
        if self._loaded is not None:
            return
        from voxmesh_tts_indic_f5.loading import load_model  # noqa: PLC0415 # as above

        found = load_model(self._checkpoint, self._context, self._settings)
        self._loaded = found.model
        self._info = self._info_of(found.model, found.device, found.reason)

    def warm_up(self) -> None:
        """Speak a word."""
        for _ in self.open(SynthesisOptions(self.info.voices[0].name, LANGUAGES[0])).synthesize("ನಮಸ್ಕಾರ."):
            pass

    def open(self, options: SynthesisOptions) -> IndicF5Session:
        """A session for one stream.

        Raises:
            InvalidArgument: the voice cannot be taken from the recording.
        """
        loaded = self._ready
        if options.voice_reference is None:
            return IndicF5Session(loaded.model, loaded.voices[options.voice], options)
        try:
            reference = loaded.references.of(options.voice_reference)
        except UnusableReference as error:
            raise InvalidArgument(f"{_REFERENCE}.{error.part}", error.problem) from error
        return IndicF5Session(loaded.model, reference, options)

    def close(self) -> None:
        """Free the model, its voices and the callers'."""
        self._loaded = None

    @property
    def _ready(self) -> Loaded:
        if self._loaded is None:
            raise RuntimeError("load() comes before the first use")
        return self._loaded

    def _info_of(self, loaded: Loaded, device: str, reason: str) -> EngineInfo:
        facts = ModelFacts(
            model=self._checkpoint.name,
            license=self._checkpoint.license,
            device=device,
            device_reason=reason,
            language_codes=LANGUAGES,
        )
        return EngineInfo(
            facts=facts,
            sample_rate_hertz=HERTZ,
            voices=tuple(Voice(entry.name, entry.language_codes, entry.sounds_like) for entry in loaded.entries),
            voice_cloning=True,
            ssml_elements=frozenset({PROSODY_RATE}),
            clause_limits=CLAUSES,
        )


class IndicF5Session:
    """See `voxmesh_tts.engine.Session`; it has no state but its voice and rate."""

    def __init__(self, model: IndicF5, reference: Reference, options: SynthesisOptions) -> None:
        self._model = model
        self._reference = reference
        self._options = options
        self._rate = min(MAX_RATE, max(MIN_RATE, options.speaking_rate or 1.0))

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How `speaking_rate` and `voice_reference` were taken."""
        outcomes: list[Outcome] = []
        asked = self._options.speaking_rate
        if asked is not None:
            outcomes.append(_rate_outcome(asked, self._rate))
        if self._options.voice_reference is not None:
            outcomes.append(_reference_outcome(self._reference))
        return outcomes

    def synthesize(self, clause: str, pace: float = 1.0) -> Speech:
        """Speak one clause; one piece unless it is long, none when there is nothing to say."""
        return Speech(self._model, self._reference, clause, min(MAX_RATE, max(MIN_RATE, self._rate * pace)))

    def close(self) -> None:
        """Nothing to free."""


class Speech(Iterator[Samples]):
    """The pieces of a clause's audio, each made when it is asked for."""

    def __init__(self, model: IndicF5, reference: Reference, clause: str, rate: float) -> None:
        self._model = model
        self._reference = reference
        self._clause = clause
        self._rate = rate
        self._is_interrupted = threading.Event()
        self._pieces = self._speak()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Samples:
        return next(self._pieces)

    def interrupt(self) -> None:
        """End the piece that is being made at the model's next step; called from any thread."""
        self._is_interrupted.set()

    def close(self) -> None:
        """Make no more pieces."""
        self._pieces.close()

    def _speak(self) -> Generator[Samples]:
        from voxmesh_tts_indic_f5.model import Interrupted  # noqa: PLC0415 # loaded long before

        texts = spoken_pieces(self._clause, self._reference, self._rate)
        for count, text in enumerate(texts, 1):
            try:
                samples = self._made(text)
            except Interrupted:
                return
            # The pause stands after the clause, not between its pieces.
            heard = joined(samples, self._clause if count == len(texts) else "", self._rate, HERTZ)
            if len(heard):
                yield heard

    def _made(self, text: str) -> Samples:
        reference = self._reference
        frames = spoken_frames(text, reference.sound_s, self._rate)
        return self._model.speak(reference.mel, reference.text + text, frames, self._is_interrupted.is_set)


def spoken_pieces(clause: str, reference: Reference, rate: float) -> list[str]:
    """What is said of a clause, in pieces that the model speaks well behind the recording; none for nothing."""
    text = sayable(clause)
    if not sounds(text):
        return []
    return pieces(text, (MOST_S - reference.duration_s) * rate / reference.sound_s)


def spoken_frames(text: str, sound_s: float, rate: float) -> int:
    """How many frames a text takes, of a voice whose sounds last `sound_s` each."""
    return math.ceil(max(LEAST_S, sounds(text) * sound_s) / rate * HERTZ / HOP_SAMPLES)


def _rate_outcome(asked: float, rate: float) -> Outcome:
    if asked == rate:
        return applied("config.speaking_rate")
    how = f"spoken at {rate:g}; the model speaks at {MIN_RATE:g} to {MAX_RATE:g}"
    return approximated("config.speaking_rate", how)


def _reference_outcome(reference: Reference) -> Outcome:
    if reference.cut_s is None:
        return applied(_REFERENCE)
    how = (
        f"the model takes 12 s at most: the first {reference.cut_s:.1f} s are used, to a pause, and as much of the "
        "transcript as is said in them by its length"
    )
    return approximated(_REFERENCE, how)
