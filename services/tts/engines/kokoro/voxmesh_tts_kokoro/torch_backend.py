"""Kokoro by its published package on torch; importing this takes its three seconds.

The package imports misaki, its text to phonemes, whole: spaCy models that are fetched at run
time, and espeak, which is GPL. Only its model is used here, so misaki is left out.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.stand_ins import stand_ins
from voxmesh_tts_kokoro.backend import Spoken, Stop, Style

# The token's type is named by the annotations of the pipeline that is not used.
_MISAKI: dict[str, dict[str, Any]] = {"misaki": {}, "misaki.en": {"MToken": object}, "misaki.espeak": {}}

# Looks for what is installed, so it comes before anything stands in for a module.
import_module("transformers")
with stand_ins(_MISAKI):
    from kokoro import KModel


class TorchBackend:
    """See `voxmesh_tts_kokoro.backend.Backend`.

    Args:
        folder: holds `config.json` and one `.pth` file.
        device: that torch knows.

    Raises:
        FailedPrecondition: the folder holds no such files.
    """

    has_durations = True

    def __init__(self, folder: Path, device: str) -> None:
        config, weights = folder / "config.json", sorted(folder.glob("*.pth"))
        if not config.is_file() or len(weights) != 1:
            problem = f"{folder} is no model of kokoro: it must hold config.json and one .pth file"
            raise FailedPrecondition("model", str(folder), problem)
        model = read_model(config, weights[0])
        self._model = model.to(device).eval()
        self._stop: Stop | None = None
        for module in self._model.modules():
            module.register_forward_pre_hook(self._check)
        self.vocabulary: Mapping[str, int] = json.loads(config.read_text("utf-8"))["vocab"]

    def speak(self, phonemes: str, style: Style, rate: float, stop: Stop | None = None) -> Spoken:
        """See `voxmesh_tts_kokoro.backend.Backend.speak`; stops between two layers."""
        self._stop = stop
        # The voice's breath is noise; the same text is to sound the same.
        torch.manual_seed(0)
        output = self._model(phonemes, torch.from_numpy(style[np.newaxis]), rate, return_output=True)
        return Spoken(output.audio.numpy(), output.pred_dur.numpy().reshape(-1))

    def _check(self, *_: object) -> None:
        if self._stop is not None and self._stop.is_set:
            raise InterruptedError


def read_model(config: Path, weights: Path) -> KModel:
    """The package's model, of these two files alone: it fetches none, and reads weights as data."""
    with warnings.catch_warnings():
        # Of torch, about how the package builds its layers.
        warnings.simplefilter("ignore")
        return KModel(repo_id=str(weights.parent), config=str(config), model=str(weights))
