"""Kokoro behind the service's seam: one clause in, its words and audio out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.devices import OnDevice
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.outcomes import Outcome, applied, approximated
from voxmesh_runtime.stepper import Interruptible
from voxmesh_tts.engine import ClauseLimits, EngineInfo, SpokenWord, SynthesisOptions
from voxmesh_tts.silence import audible, joined
from voxmesh_tts_kokoro.backend import HERTZ, Backend, Stop
from voxmesh_tts_kokoro.loading import MODEL, load_backend
from voxmesh_tts_kokoro.reading import Reader
from voxmesh_tts_kokoro.settings import KokoroSettings
from voxmesh_tts_kokoro.timing import timed
from voxmesh_tts_kokoro.voices import DEFAULT, Voices

MIN_RATE = 0.5
MAX_RATE = 2.0
"""Speeds at which every sound keeps a frame or more."""
CLAUSES = ClauseLimits(first_minimum=12, first_maximum=45, minimum=30, maximum=100)
"""Nothing is heard of a clause before all of it is made, which takes half as long as the clause on a CPU."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that sessions share."""

    backend: OnDevice[Backend]
    voices: Voices
    american: Reader
    british: Reader


class KokoroEngine:
    """See `voxmesh_tts.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: KokoroSettings | None = None) -> None:
        self._context = context
        self._settings = KokoroSettings() if settings is None else settings
        self._loaded: Loaded | None = None

    @property
    def info(self) -> EngineInfo:
        """What the model is and can do."""
        loaded, model = self._ready, self._context.model or MODEL
        facts = ModelFacts(
            model=model,
            license="Apache-2.0" if model == MODEL else "unknown",
            device=loaded.backend.device,
            device_reason=loaded.backend.reason,
            language_codes=tuple(
                dict.fromkeys(code for voice in loaded.voices.listed for code in voice.language_codes)
            ),
        )
        return EngineInfo(
            facts=facts,
            sample_rate_hertz=HERTZ,
            voices=loaded.voices.listed,
            word_time_offsets=loaded.backend.model.has_durations,
            voice_blends=True,
            clause_limits=CLAUSES,
        )

    def load(self) -> None:
        """Load the model, the voices and the dictionaries."""
        if self._loaded is not None:
            return
        # First what is refused at once.
        voices = Voices(self._settings.blends)
        backend = load_backend(self._context, self._settings)
        known = backend.model.vocabulary
        self._loaded = Loaded(backend, voices, Reader(known, british=False), Reader(known, british=True))

    def warm_up(self) -> None:
        """Read with each dictionary a word that it does not have, and speak it, so that every part is loaded."""
        text = "Hello, voxmesh."
        self._ready.british.read(text)
        for _ in self.open(SynthesisOptions(DEFAULT, "en-US")).synthesize(text):
            pass

    def open(self, options: SynthesisOptions) -> KokoroSession:
        """A session for one stream."""
        return KokoroSession(self._ready, options)

    def close(self) -> None:
        """Free the model."""
        self._loaded = None

    @property
    def _ready(self) -> Loaded:
        if self._loaded is None:
            raise RuntimeError("the engine is not loaded")
        return self._loaded


class KokoroSession:
    """See `voxmesh_tts.engine.Session`; it has no state but its options."""

    def __init__(self, loaded: Loaded, options: SynthesisOptions) -> None:
        self._loaded = loaded
        self._options = options
        self._reader = loaded.british if loaded.voices.is_british(options.voice) else loaded.american
        self._rate = min(MAX_RATE, max(MIN_RATE, options.speaking_rate or 1.0))

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How `speaking_rate` was taken."""
        asked = self._options.speaking_rate
        if asked is None:
            return []
        if asked == self._rate:
            return [applied("config.speaking_rate")]
        how = f"spoken at {self._rate:g}; the model speaks at {MIN_RATE:g} to {MAX_RATE:g}"
        return [approximated("config.speaking_rate", how)]

    def synthesize(self, clause: str) -> Iterator[Samples | SpokenWord]:
        """Speak one clause; one piece unless it is long, none when there is nothing to say."""
        stop = Stop()
        return Interruptible(self._pieces(clause, stop), stop.set)

    def _pieces(self, clause: str, stop: Stop) -> Generator[Samples | SpokenWord]:
        readings = self._reader.read(clause)
        offset_s = 0.0
        for count, reading in enumerate(readings, 1):
            style = self._loaded.voices.style(self._options.voice, len(reading.phonemes))
            spoken = self._loaded.backend.model.speak(reading.phonemes, style, self._rate, stop)
            heard = audible(spoken.samples, HERTZ)
            if self._options.word_time_offsets:
                played_s = (heard.stop - heard.start) / HERTZ
                yield from timed(reading, spoken, heard.start / HERTZ, played_s, offset_s)
            # The pause stands after the clause, not between its pieces.
            samples = joined(spoken.samples, clause if count == len(readings) else "", self._rate, HERTZ)
            offset_s += len(samples) / HERTZ
            if len(samples):
                yield samples

    def close(self) -> None:
        """Nothing to free."""
