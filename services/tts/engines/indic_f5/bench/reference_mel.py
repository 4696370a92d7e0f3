"""Write what torchaudio, which the model was trained with, makes of a sound: the tests' reference.

torchaudio's wheel wants the CUDA build of torch; without its libraries, its mel spectra are Python:

    pip install --no-deps --target FOLDER torchaudio==2.11.0 && rm FOLDER/torchaudio/lib/*.so
    PYTHONPATH=FOLDER python bench/reference_mel.py
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

TARGET = Path(__file__).parents[1] / "tests/data/mel.npz"


def main() -> None:
    """Write a fifth of a second of a rising tone in noise, and its log-mel spectrum."""
    transforms: Any = import_module("torchaudio.transforms")
    spectrum = transforms.MelSpectrogram(
        sample_rate=24000, n_fft=1024, win_length=1024, hop_length=256, n_mels=100, power=1, center=True, norm=None
    )
    at_s = np.arange(4800) / 24000
    noise = np.random.default_rng(seed=0).standard_normal(len(at_s))
    samples = (0.3 * np.sin(2 * np.pi * (200 + 20_000 * at_s) * at_s) + 0.003 * noise).astype(np.float32)
    mel = spectrum(torch.from_numpy(samples)[None]).clamp(min=1e-5).log()[0].T.numpy()
    np.savez_compressed(TARGET, samples=samples, mel=mel)
    print(f"{TARGET}: {mel.shape}, {mel.min():.2f} to {mel.max():.2f}")


if __name__ == "__main__":
    main()
