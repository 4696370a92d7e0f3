"""Write features by NeMo 1.23's own preprocessor: `python reference_mel.py FEATURES_PY FOLDER`.

FEATURES_PY is `nemo/collections/asr/parts/preprocessing/features.py` of the wheel nemo_toolkit 1.23.0, the
release that the published model was exported with; an environment with a later NeMo can run it.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# torch, NeMo and sentencepiece are not in the engine's environment.

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

SAMPLE_RATE_HERTZ = 16000


def signals(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Speech, noise of an odd length, a rising tone after silence, and the shortest audio."""
    chance = np.random.default_rng(seed=1)
    time_s = np.arange(8123) / SAMPLE_RATE_HERTZ
    rising = 0.3 * np.sin(2 * np.pi * (200 + 3000 * time_s) * time_s)
    speech, _ = soundfile.read(folder / "numbers.flac", dtype="float32")
    found = {
        "speech": speech,
        "noise": 0.1 * chance.standard_normal(16001),
        "rising": np.concatenate([np.zeros(4000), rising]),
        "shortest": 0.1 * chance.standard_normal(1600),
    }
    return {name: np.asarray(signal, np.float32) for name, signal in found.items()}


def main(features_py: str, folder: Path) -> None:
    """Compute and write."""
    spec = importlib.util.spec_from_file_location("features", features_py)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    preprocess = module.FilterbankFeatures(
        n_window_size=400, n_window_stride=160, n_fft=512, nfilt=80, normalize="per_feature", pad_to=0
    ).eval()
    arrays: dict[str, Any] = {}
    for name, signal in signals(folder).items():
        mel, length = preprocess(torch.from_numpy(signal)[None], torch.tensor([len(signal)]))
        arrays[f"{name}_samples"] = signal
        arrays[f"{name}_mel"] = mel[0, :, : int(length)].numpy()
    np.savez_compressed(folder / "nemo_mel.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
