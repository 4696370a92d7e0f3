"""Mel frames of a stream as it comes, equal to those of the whole audio at once.

A frame needs the samples half a window before and after its middle. A window of audio is cut so
that the frames wanted have all of theirs; the frames before them, which the cut harms, are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from voxmesh_runtime.audio import Samples


@dataclass(frozen=True, slots=True)
class Window:
    """Audio that gives `frames` good mel frames after `lead` bad ones."""

    samples: Samples
    lead: int
    frames: int


class MelFrontend:
    """A model's own preprocessor, made to treat each frame alike wherever it lies.

    Its normalisation must be none, else a frame depends on what follows it.
    """

    def __init__(self, model: Any, device: str) -> None:
        self._preprocessor = model.preprocessor
        self._device = device
        featurizer = model.preprocessor.featurizer
        featurizer.dither, featurizer.pad_to = 0.0, 0
        self.hop_samples: int = featurizer.hop_length
        self.half_window_samples: int = featurizer.win_length // 2
        # Frames whose left half reaches over the cut, with one sample more for the pre-emphasis.
        self.lead_frames: int = -(-(self.half_window_samples + 1) // self.hop_samples)
        self.feature_count: int = featurizer.nfilt

    def frames(self, windows: Sequence[Window]) -> list[torch.Tensor]:
        """The good frames of each window, [features, frames]."""
        lengths = [len(window.samples) for window in windows]
        audio = np.zeros((len(windows), max(lengths)), np.float32)
        for row, window in zip(audio, windows, strict=True):
            row[: len(window.samples)] = window.samples
        mel = self.whole(torch.from_numpy(audio), torch.tensor(lengths))[0]
        return [row[:, w.lead : w.lead + w.frames] for row, w in zip(mel, windows, strict=True)]

    def whole(self, audio: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mel frames [batch, features, frames] of audio [batch, samples], and how many are valid."""
        device = self._device
        mel, frames = self._preprocessor(input_signal=audio.to(device), length=lengths.to(device))
        return mel, frames
