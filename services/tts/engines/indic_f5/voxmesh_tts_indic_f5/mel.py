"""Mel spectra as the model was trained on them, without torchaudio and librosa.

The libraries import torchaudio for this one class: its wheel wants the CUDA build of torch, and
where it cannot be loaded, neither could the model. librosa would make the filters, but compiles
itself for half a minute where it cannot write a cache, as in a container.
"""

from __future__ import annotations

import torch
from torch import nn


def mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> torch.Tensor:
    """Triangles of height 1, evenly spaced on HTK's mel scale from 0 Hz to half the rate; (n_mels, n_fft // 2 + 1)."""
    frequencies = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    highest_mel = 2595 * torch.log10(1 + frequencies[-1] / 700)
    mels = torch.linspace(0, float(highest_mel), n_mels + 2, dtype=torch.float64)
    corners = (700 * (10 ** (mels / 2595) - 1))[:, None]
    widths = corners.diff(dim=0)
    rising = (frequencies - corners[:-2]) / widths[:-1]
    falling = (corners[2:] - frequencies) / widths[1:]
    return torch.minimum(rising, falling).clamp(min=0).float()


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
        self.register_buffer("window", torch.hann_window(win_length or n_fft))
        self.register_buffer("filters", mel_filters(sample_rate, n_fft, n_mels))

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
