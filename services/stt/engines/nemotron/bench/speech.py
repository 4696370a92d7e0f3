"""Sentences of the test model's 20 words, spoken by espeak-ng in many voices."""

from __future__ import annotations

import io
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

Samples = npt.NDArray[np.float32]

RATE_HERTZ = 16000
WORDS = tuple(
    "zero one two three four five six seven eight nine yes no stop go claude cloud hello please weather code".split()  # noqa: SIM905 # shorter
)
_ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029")
_SPEAKERS = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Speech at 16 kHz and its words."""

    words: tuple[str, ...]
    samples: Samples


def spoken(text: str, voice: str, words_per_minute: int, pitch: int) -> Samples:
    """A text by one voice of espeak-ng, which must be installed."""
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdout", text]
    wave = subprocess.run(command, check=True, capture_output=True).stdout
    # espeak-ng cannot know the length of a stream, so its header says that it has no end.
    data = wave[44 : 44 + (len(wave) - 44) // 2 * 2]
    samples = np.frombuffer(data, np.int16).astype(np.float32) / 32768
    return soxr.resample(samples, soundfile.info(io.BytesIO(wave)).samplerate, RATE_HERTZ)


def sentences(count: int) -> list[Sentence]:
    """The same sentences each time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_sentence, range(count)))


def _sentence(seed: int) -> Sentence:
    random = np.random.default_rng(seed)
    # The two words that sound alike come more often.
    words = tuple(str(random.choice([*WORDS, "claude", "cloud"])) for _ in range(random.integers(1, 6)))
    voice = f"{random.choice(_ACCENTS)}{random.choice(_SPEAKERS)}"
    return Sentence(words, spoken(" ".join(words), voice, int(random.integers(120, 190)), int(random.integers(30, 70))))
