"""Features are those of NeMo's own preprocessor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxmesh_stt_indic_conformer.mel import HOP_SAMPLES, MELS, MIN_SAMPLES, log_mel

pytestmark = pytest.mark.unit

REFERENCE = np.load(Path(__file__).parent / "data" / "nemo_mel.npz")


@pytest.mark.parametrize("name", ["speech", "noise", "rising", "shortest"])
def test_features_equal_those_of_nemo(name: str) -> None:
    mel = log_mel(REFERENCE[f"{name}_samples"])
    expected = REFERENCE[f"{name}_mel"]
    assert mel.shape == expected.shape
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel, expected, rtol=0, atol=1e-4)


def test_there_is_a_frame_each_10_ms_and_one_more() -> None:
    assert log_mel(REFERENCE["noise_samples"]).shape == (MELS, 16001 // HOP_SAMPLES + 1)


@pytest.mark.parametrize("samples", [0, 1, 255, MIN_SAMPLES - 1])
def test_audio_that_is_too_short_is_filled_up(samples: int) -> None:
    mel = log_mel(np.full(samples, 0.1, np.float32))
    assert mel.shape == log_mel(np.zeros(MIN_SAMPLES, np.float32)).shape
    assert np.isfinite(mel).all()


def test_silence_is_finite() -> None:
    assert np.isfinite(log_mel(np.zeros(16000, np.float32))).all()
