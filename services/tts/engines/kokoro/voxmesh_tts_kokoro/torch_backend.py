"""Kokoro by its published package on torch; importing this takes its three seconds.

The package imports misaki, its text to phonemes, whole: spaCy models that are fetched at run
time, and espeak, which is GPL. Only its model is used here, so misaki is left out.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_tts_kokoro.backend import Spoken, Stop, Style

_MISAKI = ("misaki", "misaki.en", "misaki.espeak")


@contextmanager
def _without_misaki() -> Generator[None]:
    before = {name: sys.modules.get(name) for name in _MISAKI}
    for name in _MISAKI:
        sys.modules[name] = _stand_in(name)
    for name in _MISAKI[1:]:
        setattr(sys.modules["misaki"], name.rpartition(".")[2], sys.modules[name])
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _stand_in(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    module.__path__ = []
    # Named by the annotations of the pipeline that is not used.
    vars(module)["MToken"] = object
    return module


# Looks for what is installed, so it comes before anything stands in for a module.
import_module("transformers")
with _without_misaki():
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
