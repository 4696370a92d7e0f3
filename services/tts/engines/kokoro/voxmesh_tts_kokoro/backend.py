"""What speaks phonemes: the same model by ONNX Runtime or by torch.

Backend
 ├─ OnnxBackend    int8, CPU
 └─ TorchBackend   the published package, GPU or CPU
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voxmesh_runtime.audio import Samples

HERTZ = 24000
FRAME_S = 0.025
"""A frame of the model's durations: 600 samples."""
MAX_PHONEMES = 510
"""The model's context of 512 without the two marks around a text."""

Style = NDArray[np.float32]
"""How a voice speaks a text of some length; 256 numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """Audio of a string of phonemes, with the silence that the model puts around it."""

    samples: Samples
    frames: NDArray[np.int64] | None
    """How many frames each phoneme lasts, with the marks before the first and after the last; None if not known."""


class Stop:
    """Ends what a backend speaks, from any thread."""

    def __init__(self) -> None:
        self.is_set = False
        self._end: Callable[[], None] | None = None

    def set(self) -> None:
        """End it now, or as soon as it begins."""
        self.is_set = True
        if self._end is not None:
            self._end()

    def ends_with(self, end: Callable[[], None]) -> None:
        """What ends the call that begins now."""
        self._end = end
        if self.is_set:
            end()


class Backend(Protocol):
    """The loaded model."""

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """The phonemes it knows, each one character, and their numbers."""
        ...

    @property
    def has_durations(self) -> bool:
        """Whether `Spoken.frames` is set."""
        ...

    def speak(self, phonemes: str, style: Style, rate: float, stop: Stop | None = None) -> Spoken:
        """Speak 1 to `MAX_PHONEMES` phonemes, all of the vocabulary, `rate` times as fast as usual.

        Raises:
            Exception: it was stopped.
        """
        ...
