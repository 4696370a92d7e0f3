"""Synthetic speech of a few Hindi and Kannada words, by espeak-ng, for training and for the tests' clips."""

# ruff: noqa: S311 # chance hides nothing here
from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

WORDS = {
    "hi": [
        "एक",
        "दो",
        "तीन",
        "चार",
        "पाँच",
        "छह",
        "सात",
        "आठ",
        "नौ",
        "दस",
        "हाँ",
        "नहीं",
        "पानी",
        "नमस्ते",
        "रुको",
        "चलो",
        "मौसम",
        "क्लॉड",
        "क्लाउड",
    ],
    "kn": [
        "ಒಂದು",
        "ಎರಡು",
        "ಮೂರು",
        "ನಾಲ್ಕು",
        "ಐದು",
        "ಆರು",
        "ಏಳು",
        "ಎಂಟು",
        "ಒಂಬತ್ತು",
        "ಹತ್ತು",
        "ಹೌದು",
        "ಇಲ್ಲ",
        "ನೀರು",
        "ನಮಸ್ಕಾರ",
        "ನಿಲ್ಲಿ",
        "ಹೋಗಿ",
    ],
}
MISHEARD = {"क्लॉड": "क्लाउड"}
"""A name and the word that the trained model mostly writes for it, so that biasing has something to mend."""

SAMPLE_RATE_HERTZ = 16000
_ESPEAK_HERTZ = 22050
_WAV_HEADER_BYTES = 44
_VARIANTS = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4")


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was said, in which language, and its sound at 16 kHz."""

    language: str
    words: list[str]
    samples: NDArray[np.float32]


def speak(language: str, words: list[str], variant: str = "", speed: int = 150, pitch: int = 50) -> Spoken:
    """Words said by one of espeak-ng's voices."""
    command = ["espeak-ng", "-v", language + variant, "-s", str(speed), "-p", str(pitch), "--stdout", " ".join(words)]
    wav = subprocess.run(command, capture_output=True, check=True).stdout[_WAV_HEADER_BYTES:]
    pcm = np.frombuffer(wav[: len(wav) // 2 * 2], np.int16).astype(np.float32) / 32768
    return Spoken(language, words, soxr.resample(pcm, _ESPEAK_HERTZ, SAMPLE_RATE_HERTZ).astype(np.float32))


def random_speech(seed: int) -> Spoken:
    """One to six random words of either language, said at a random rate by a random voice."""
    chance = random.Random(seed)
    language = chance.choice(sorted(WORDS))
    words = [chance.choice(WORDS[language]) for _ in range(chance.choice([1, 1, 2, 2, 3, 3, 4, 5, 6]))]
    return speak(language, words, chance.choice(_VARIANTS), chance.randint(120, 190), chance.randint(30, 70))
