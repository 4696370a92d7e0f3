"""What runs the model: transformers everywhere, vLLM on GPUs that have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from voxmesh_runtime.audio import Samples

SAMPLE_RATE_HERTZ = 16000
_LEAST_SAMPLES = SAMPLE_RATE_HERTZ
"""The package fails below 0.1 s, and below a second its convolution sees how long the audio is."""
LONGEST_ALIGNED_S = 180
"""Longer speech is beyond the limit of the package's forced aligner."""


class Track(Protocol):
    """What a backend keeps of one stream."""

    def forget(self) -> None:
        """Free what belongs to the utterance in progress."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


@dataclass(frozen=True, slots=True)
class Speech:
    """One stream's utterance so far; `samples` begin as they did in the decode before, with more behind, or less."""

    track: Any
    """Of the backend that is asked."""
    utterance: int
    samples: Samples
    """16 kHz, at least one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A text and the model's name of its language, "" if unknown."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """A final text with its speech, to be aligned."""

    samples: Samples
    text: str
    language: str
    """The model's name of it; "" if unknown."""


class Backend(Protocol):
    """A loaded model; its calls block and must not overlap."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Names of the languages that the model knows."""
        ...

    @property
    def tokenizer(self) -> Any:
        """Of the model's texts."""
        ...

    def track(self, context: str, language: str | None) -> Track:
        """A stream whose language is this one, or detected if None."""
        ...

    def decode(self, speeches: Sequence[Speech]) -> list[Heard]:
        """Decode utterances of 1 or more different streams."""
        ...


def long_enough(samples: Samples) -> Samples:
    """Speech with silence behind it up to what the model can take."""
    return np.pad(samples, (0, max(0, _LEAST_SAMPLES - len(samples))))
