"""Speech of two synthesisers, for benchmarks that need people: hibari and espeak-ng."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from voxmesh_runtime.audio import Resampler, Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_tts.engine import SynthesisOptions
from voxmesh_tts_hibari import create

RATE_HERTZ = 16_000
HIBARI, ESPEAK, ESPEAK_BRITISH = "hibari", "en-us", "en-gb-x-rp"
PERSON_DB = -23.0
"""Loudness, against full scale."""
FULL_DB, TAIL_S = 40.0, 0.03


class Voices:
    """Both synthesisers, loaded."""

    def __init__(self) -> None:
        self._engine = create(EngineContext())
        self._engine.load()

    def say(self, text: str, voice: str) -> Samples:
        """A text at 16 kHz, by hibari or by a voice of espeak-ng."""
        if voice == HIBARI:
            session = self._engine.open(SynthesisOptions(voice="af_heart", language_code="en-US"))
            samples = np.concatenate(list(session.synthesize(text)))
            return _resampled(samples, self._engine.info.sample_rate_hertz)
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", file.name, text], check=True)
            return _resampled(*read_audio_file(Path(file.name)))


def leveled(samples: Samples, level_db: float) -> Samples:
    """As loud as wanted, against full scale."""
    return samples * np.float32(10 ** (level_db / 20) / np.sqrt(np.mean(samples**2)))


def trimmed(samples: Samples) -> Samples:
    """Without the silence around speech."""
    step = RATE_HERTZ // 100
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    level_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loud: Sequence[int] = np.flatnonzero(level_db > level_db.max() - FULL_DB).tolist()
    tail = round(TAIL_S * RATE_HERTZ)
    return samples[max(0, loud[0] * step - tail) : loud[-1] * step + tail]


def noise(rng: np.random.Generator, length: int, level_db: float) -> Samples:
    """White noise, so many samples."""
    return (rng.standard_normal(length) * 10 ** (level_db / 20)).astype(np.float32)


def _resampled(samples: Samples, hertz: int) -> Samples:
    resampler = Resampler(hertz, RATE_HERTZ)
    return np.concatenate([resampler.process(samples), resampler.flush()])
