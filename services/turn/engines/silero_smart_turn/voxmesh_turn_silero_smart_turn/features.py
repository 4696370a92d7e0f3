"""Log-mel features as Whisper defines them, for 8 s of audio at 16 kHz.

Power spectra of 400 samples under a Hann window every 160 samples, 80 triangular filters of equal
area on Slaney's mel scale (linear to 1 kHz, logarithmic above), log10, the lowest 8 decades below
the loudest cut off, then scaled to about [-1, 1].
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voxmesh_runtime.audio import Samples

SAMPLE_RATE_HERTZ = 16000
FFT_SAMPLES = 400
HOP_SAMPLES = 160
MEL_COUNT = 80

_LINEAR_BELOW_HERTZ = 1000.0
_HERTZ_PER_MEL = 200 / 3
_LINEAR_MELS = _LINEAR_BELOW_HERTZ / _HERTZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27
_VARIANCE_FLOOR = 1e-7
_POWER_FLOOR = 1e-10
_DECADES = 8.0

Array: TypeAlias = npt.NDArray[np.float64]


def _mel_to_hertz(mels: Array) -> Array:
    above = _LINEAR_BELOW_HERTZ * np.exp(_LOG_STEP * (mels - _LINEAR_MELS))
    return np.where(mels < _LINEAR_MELS, mels * _HERTZ_PER_MEL, above)


def mel_filters() -> Array:
    """The filter bank, shape (201 frequencies, 80 mels)."""
    highest = _LINEAR_MELS + np.log(SAMPLE_RATE_HERTZ / 2 / _LINEAR_BELOW_HERTZ) / _LOG_STEP
    corners = _mel_to_hertz(np.linspace(0.0, highest, MEL_COUNT + 2))
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    frequencies = np.linspace(0.0, SAMPLE_RATE_HERTZ / 2, FFT_SAMPLES // 2 + 1)[:, np.newaxis]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)


_FILTERS = mel_filters()
_WINDOW = np.hanning(FFT_SAMPLES + 1)[:-1]


def log_mel(samples: Samples) -> npt.NDArray[np.float32]:
    """Features of samples at 16 kHz, shape (80, one a whole hop); loudness does not matter."""
    centred = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    normal = centred / np.sqrt(centred.var() + _VARIANCE_FLOOR)
    padded = np.pad(normal, FFT_SAMPLES // 2, mode="reflect")
    # The last frame is centred on the end of the audio; Whisper leaves it out.
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[:-HOP_SAMPLES:HOP_SAMPLES]
    spectra = np.fft.rfft(frames * _WINDOW)
    power = (spectra.real**2 + spectra.imag**2) @ _FILTERS
    logarithms = np.log10(np.maximum(power, _POWER_FLOOR))
    cut = np.maximum(logarithms, logarithms.max() - _DECADES)
    return ((cut + 4.0) / 4.0).T.astype(np.float32)
