"""Mel spectra as the model was trained on them, without torchaudio.

The libraries import torchaudio for this one class. Its wheel wants the CUDA build of torch; where
it cannot be loaded, neither could the model.
"""

from __future__ import annotations

import torch
from librosa.filters import mel as mel_filters
from torch import nn


class MelSpectrogram(nn.Module):
    """What F5-TTS asks of `torchaudio.transforms.MelSpectrogram`: HTK's mel scale, filters of height 1, Hann window.

    Args:
        sample_rate: in hertz.
        n_fft: samples of a frame's transform.
        hop_length: samples from one frame to the next.
        n_mels: filters.
        win_length: samples of the window.
        center: whether the first frame is centred on the first sample; the edges are mirrored.
        power: of the magnitudes.
        norm: None, the filters are not normalised.
        normalized: False, the transform neither.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        hop_length: int,
        n_mels: int,
        win_length: int | None = None,
        center: bool = True,
        power: float = 1,
        norm: None = None,
        normalized: bool = False,
    ) -> None:
        super().__init__()
        if norm is not None or normalized:
            raise ValueError("neither filters nor transform are normalised here")
        self._n_fft = n_fft
        self._hop_length = hop_length
        self._center = center
        self._power = power
        filters = mel_filters(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, htk=True, norm=None)
        self.register_buffer("window", torch.hann_window(win_length or n_fft))
        self.register_buffer("filters", torch.from_numpy(filters))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Spectra of samples (batch, samples) as (batch, mels, frames)."""
        spectrum = torch.stft(
            samples,
            self._n_fft,
            self._hop_length,
            len(self.window),
            self.window,
            center=self._center,
            return_complex=True,
        )
        return self.filters @ spectrum.abs() ** self._power
