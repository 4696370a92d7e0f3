"""The parts of f5-tts and vocos that speak; importing this takes their three seconds.

Both packages import in their `__init__` what only training needs (wandb, datasets, encodec,
accelerate) and torchaudio for its mel spectra. Here their modules are imported one by one, as if
the `__init__` were empty, and `mel.MelSpectrogram` stands for torchaudio's. Nothing of this is
left behind in `sys.modules` but the modules themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from voxmesh_tts_indic_f5.mel import MelSpectrogram


@contextmanager
def _in_place_of(modules: dict[str, ModuleType]) -> Generator[None]:
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _module(name: str, places: Sequence[str] = (), **attributes: object) -> ModuleType:
    """An empty package whose modules are found in `places`."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    module.__path__ = list(places)
    vars(module).update(attributes)
    return module


def _places(package: str, *parts: str) -> list[str]:
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"{package} is not installed")
    return ["/".join((place, *parts)) for place in spec.submodule_search_locations]


def _torchaudio() -> dict[str, ModuleType]:
    transforms = _module("torchaudio.transforms", MelSpectrogram=MelSpectrogram)
    # Named by heads of vocos that the model does not have.
    scales = _module("torchaudio.functional.functional", _hz_to_mel=None, _mel_to_hz=None)
    functional = _module("torchaudio.functional", functional=scales)
    package = _module("torchaudio", transforms=transforms, functional=functional)
    return {module.__name__: module for module in (package, transforms, functional, scales)}


_EMPTY = {
    "f5_tts.model": _module("f5_tts.model", _places("f5_tts", "model")),
    "vocos": _module("vocos", _places("vocos")),
}

with _in_place_of(_EMPTY | _torchaudio()):
    from f5_tts.model.backbones.dit import DiT
    from f5_tts.model.cfm import CFM
    from f5_tts.model.utils import convert_char_to_pinyin, get_tokenizer
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

__all__ = ["CFM", "DiT", "ISTFTHead", "VocosBackbone", "convert_char_to_pinyin", "get_tokenizer"]
