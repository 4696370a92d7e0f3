"""Mel spectra are those of torchaudio, with which the model was trained; `bench/reference_mel.py` wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from voxmesh_tts_indic_f5.mel import MelSpectrogram, mel_filters
from voxmesh_tts_indic_f5.model import IndicF5

pytestmark = pytest.mark.engine

REFERENCE = np.load(Path(__file__).parent / "data/mel.npz")


def test_the_model_hears_what_torchaudio_hears(model: IndicF5) -> None:
    assert model.mel(REFERENCE["samples"])[0].numpy() == pytest.approx(REFERENCE["mel"], abs=1e-4)


def test_filters_are_triangles_of_height_one_on_a_scale_that_widens_upwards() -> None:
    filters = mel_filters(24000, 65536, 100).numpy()
    peaks = filters.argmax(axis=1) * 24000 / 65536
    assert filters.max(axis=1) == pytest.approx(np.ones(100), abs=0.02)
    # HTK: 2595 log10(1 + f / 700), evenly spaced.
    mels = 2595 * np.log10(1 + peaks / 700)
    assert np.diff(mels) == pytest.approx(np.full(99, 2595 * np.log10(1 + 12000 / 700) / 101), rel=0.02)


def test_what_the_model_was_not_trained_on_is_refused() -> None:
    with pytest.raises(ValueError, match="normalised"):
        MelSpectrogram(sample_rate=24000, n_fft=1024, hop_length=256, n_mels=100, normalized=True)


def test_a_spectrum_of_power_two_is_of_squared_magnitudes() -> None:
    samples = torch.from_numpy(REFERENCE["samples"])[None]
    spectrum = MelSpectrogram(sample_rate=24000, n_fft=1024, hop_length=256, n_mels=100, power=2)(samples)
    assert spectrum.shape == (1, 100, 19)
    assert float(spectrum.max()) > float(np.exp(REFERENCE["mel"].max()))
