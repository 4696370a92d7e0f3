"""Log-mel frames of the end of an utterance, as the model's feature extractor makes them of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from voxmesh_runtime.audio import Samples

HOP_SAMPLES = 160
_HALF_WINDOW_SAMPLES = 200
_RANGE = 8.0
"""Powers of ten below the loudest value; what is softer counts as that."""
SILENT = -10.0
"""The logarithm of what the extractor takes for no power at all."""


def frame_count(sample_count: int) -> int:
    """Frames of an utterance; the last ones reach into what has not been heard."""
    return sample_count // HOP_SAMPLES


def is_complete(frame: int, sample_count: int) -> bool:
    """Whether all samples that a frame needs have been heard, so that it stays as it is."""
    return frame * HOP_SAMPLES + _HALF_WINDOW_SAMPLES <= sample_count


class LogMel:
    """The extractor's arithmetic for any range of frames.

    The extractor lifts what is softer than a share of the loudest value of the whole utterance. The
    loudest value so far comes in from outside and goes out again, so that frames that are done
    need not be made again.

    Args:
        extractor: a `WhisperFeatureExtractor`.
        device: where the frames are wanted.
    """

    def __init__(self, extractor: Any, device: str) -> None:
        self._filters = torch.from_numpy(extractor.mel_filters).to(device, torch.float32).T
        self._window = torch.hann_window(2 * _HALF_WINDOW_SAMPLES, device=device)
        self._device = device

    def frames(self, samples: Samples, begin: int, end: int) -> torch.Tensor:
        """Logarithms of frames `begin` to `end` of an utterance, (mels, frames), float32."""
        first = begin * HOP_SAMPLES - _HALF_WINDOW_SAMPLES
        last = (end - 1) * HOP_SAMPLES + _HALF_WINDOW_SAMPLES
        heard = samples[max(first, 0) : last]
        around = (max(-first, 0), max(last - len(samples), 0))
        audio = torch.from_numpy(np.pad(np.clip(heard, -1, 1), around, mode="reflect")).to(self._device)
        spectrum = torch.stft(
            audio, 2 * _HALF_WINDOW_SAMPLES, HOP_SAMPLES, window=self._window, center=False, return_complex=True
        )
        return torch.clamp(self._filters @ spectrum.abs() ** 2, min=10**SILENT).log10()

    @staticmethod
    def scaled(frames: torch.Tensor, loudest: float) -> torch.Tensor:
        """What the model takes."""
        return (torch.clamp(frames, min=loudest - _RANGE) + 4) / 4
