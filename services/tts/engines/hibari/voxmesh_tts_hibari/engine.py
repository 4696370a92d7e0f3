"""The hibari model behind the service's seam: one clause in, one piece of audio out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from hibari import Hibari

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.outcomes import Outcome, applied, approximated
from voxmesh_tts.engine import ClauseLimits, EngineInfo, SynthesisOptions, Voice
from voxmesh_tts.silence import joined
from voxmesh_tts_hibari.text import phonemes_of
from voxmesh_tts_hibari.voices import LoadedVoice, find_voice

log = logging.getLogger(__name__)

MIN_RATE = 0.5
MAX_RATE = 2.0
"""Speeds that the model was trained for."""


class HibariEngine:
    """See `voxmesh_tts.engine.Engine`."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._voice: LoadedVoice | None = None
        self._model: Hibari | None = None

    @property
    def info(self) -> EngineInfo:
        """What the model is and can do."""
        voice = self._loaded_voice
        facts = ModelFacts(
            model=voice.model,
            license="Apache-2.0",
            device_reason=self._device_reason,
            language_codes=(voice.language_code,),
        )
        return EngineInfo(
            facts=facts,
            sample_rate_hertz=Hibari.sample_rate,
            voices=(Voice(voice.voice, (voice.language_code,)),),
            clause_limits=ClauseLimits(first_minimum=12, first_maximum=60, minimum=40, maximum=200),
        )

    def load(self) -> None:
        """Load the model and its dictionaries; nothing is fetched for the voice in the package."""
        if self._model is not None:
            return
        self._voice = find_voice(self._context)
        self._model = Hibari(
            voice=self._voice.registry_name, model=str(self._voice.path), threads=self._context.threads
        )

    def warm_up(self) -> None:
        """Speak a sentence with a word that no dictionary has, so that every part is loaded."""
        synthesize(self._loaded_model, "Hello, this is voxmesh.", 1.0)

    def open(self, options: SynthesisOptions) -> HibariSession:
        """A session for one stream."""
        return HibariSession(self._loaded_model, options.speaking_rate)

    def close(self) -> None:
        """Free the model."""
        self._model = None

    @property
    def _device_reason(self) -> str:
        device = self._context.device
        return "" if device in ("auto", "cpu") else f"hibari runs on the CPU only, not on {device}"

    @property
    def _loaded_voice(self) -> LoadedVoice:
        if self._voice is None:
            raise RuntimeError("the engine is not loaded")
        return self._voice

    @property
    def _loaded_model(self) -> Hibari:
        if self._model is None:
            raise RuntimeError("the engine is not loaded")
        return self._model


class HibariSession:
    """See `voxmesh_tts.engine.Session`; it has no state but the speed."""

    def __init__(self, model: Hibari, speaking_rate: float | None) -> None:
        self._model = model
        self._asked_rate = speaking_rate
        self._rate = min(MAX_RATE, max(MIN_RATE, speaking_rate or 1.0))

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How `speaking_rate` was taken."""
        if self._asked_rate is None:
            return []
        if self._asked_rate == self._rate:
            return [applied("config.speaking_rate")]
        how = f"spoken at {self._rate:g}; the model speaks at {MIN_RATE:g} to {MAX_RATE:g}"
        return [approximated("config.speaking_rate", how)]

    def synthesize(self, clause: str) -> Iterator[Samples]:
        """Speak one clause; one piece, or none when there is nothing to say."""
        samples = synthesize(self._model, clause, self._rate)
        if len(samples):
            yield samples

    def close(self) -> None:
        """Nothing to free."""


def synthesize(model: Hibari, clause: str, rate: float) -> Samples:
    """A clause's audio at the model's sample rate with its pause; empty when it cannot be spoken."""
    parts = [model.from_phonemes(phonemes, rate, seed=0) for phonemes in phonemes_of(model, clause)]
    samples = np.concatenate([np.zeros(0, np.float32), *parts])
    return joined(samples, clause, rate, Hibari.sample_rate)
