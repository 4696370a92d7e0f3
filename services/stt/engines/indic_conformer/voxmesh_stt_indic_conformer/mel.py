"""Log-mel features as NeMo 1.23's preprocessor makes them, which the encoder was trained and exported with.

The model's own `preprocessor.ts` is TorchScript; these are the same numbers without torch.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxmesh_runtime.audio import Samples

Features: TypeAlias = NDArray[np.float32]
"""[mels, frames], each mel with mean 0 and deviation 1 over the utterance."""

SAMPLE_RATE_HERTZ = 16000
MELS = 80
HOP_SAMPLES = 160
MIN_SAMPLES = 1600
"""Shorter audio is filled up with zeros: a deviation needs two frames, and mirrored edges their width."""

_FFT_SAMPLES = 512
_WINDOW_SAMPLES = 400
_PREEMPHASIS = 0.97
_LOG_GUARD = 2.0**-24
_DEVIATION_GUARD = 1e-5

_LINEAR_HERTZ_PER_MEL = 200 / 3
_LOG_FROM_HERTZ = 1000.0
_LOG_FROM_MEL = _LOG_FROM_HERTZ / _LINEAR_HERTZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def log_mel(samples: Samples) -> Features:
    """Features of one utterance at 16 kHz: one frame each 10 ms, and one more."""
    missing = MIN_SAMPLES - len(samples)
    audio = np.pad(samples, (0, missing)) if missing > 0 else samples
    emphasised = np.concatenate([audio[:1], audio[1:] - np.float32(_PREEMPHASIS) * audio[:-1]])
    # The encoder's NeMo mirrors the edges; later ones pad with zeros, and count one frame less.
    padded = np.pad(emphasised, _FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * _window(), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return _normalised(np.log(_filters() @ power.T + np.float32(_LOG_GUARD)))


def _normalised(mel: Features) -> Features:
    mean = mel.mean(axis=1, keepdims=True)
    deviation = mel.std(axis=1, ddof=1, keepdims=True)
    return (mel - mean) / (deviation + np.float32(_DEVIATION_GUARD))


@cache
def _window() -> NDArray[np.float32]:
    """A symmetric Hann window in the middle of the transform."""
    side = (_FFT_SAMPLES - _WINDOW_SAMPLES) // 2
    return np.pad(np.hanning(_WINDOW_SAMPLES), side).astype(np.float32)


@cache
def _filters() -> NDArray[np.float32]:
    """Triangles of equal area on Slaney's scale, [mels, bins]."""
    top_mel = _LOG_FROM_MEL + np.log(SAMPLE_RATE_HERTZ / 2 / _LOG_FROM_HERTZ) / _LOG_STEP
    corners = _hertz(np.linspace(0, top_mel, MELS + 2))
    bins = np.fft.rfftfreq(_FFT_SAMPLES, 1 / SAMPLE_RATE_HERTZ)
    widths = np.diff(corners)[:, None]
    rising = (bins[None, :] - corners[:-2, None]) / widths[:-1]
    falling = (corners[2:, None] - bins[None, :]) / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mels * _LINEAR_HERTZ_PER_MEL
    return np.where(mels < _LOG_FROM_MEL, linear, _LOG_FROM_HERTZ * np.exp((mels - _LOG_FROM_MEL) * _LOG_STEP))
