"""The parts of f5-tts and vocos that speak; importing this takes their seconds.

Both packages import in their `__init__` what only training needs (wandb, datasets, encodec,
accelerate), and their modules torchaudio for its mel spectra and librosa for another vocoder's.
Here the modules are imported one by one, as if the `__init__` were empty, and `mel.MelSpectrogram`
stands for torchaudio's. Nothing of this is left behind in `sys.modules` but the modules themselves.
"""

from __future__ import annotations

import sys
import warnings
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


def _audio_libraries() -> dict[str, ModuleType]:
    transforms = _module("torchaudio.transforms", MelSpectrogram=MelSpectrogram)
    # Named by heads of vocos that the model does not have.
    scales = _module("torchaudio.functional.functional", _hz_to_mel=None, _mel_to_hz=None)
    functional = _module("torchaudio.functional", functional=scales)
    torchaudio = _module("torchaudio", transforms=transforms, functional=functional)
    # Makes the filters of a vocoder that the model does not have.
    filters = _module("librosa.filters", mel=None)
    librosa = _module("librosa", filters=filters)
    return {module.__name__: module for module in (torchaudio, transforms, functional, scales, librosa, filters)}


_EMPTY = {
    "f5_tts.model": _module("f5_tts.model", _places("f5_tts", "model")),
    "vocos": _module("vocos", _places("vocos")),
}

with warnings.catch_warnings(), _in_place_of(_EMPTY | _audio_libraries()):
    # Of torch, about how x-transformers compiles a function that is not used.
    warnings.simplefilter("ignore")
    from f5_tts.model.backbones.dit import DiT
    from f5_tts.model.cfm import CFM
    from f5_tts.model.utils import convert_char_to_pinyin, get_tokenizer
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

__all__ = ["CFM", "DiT", "ISTFTHead", "VocosBackbone", "convert_char_to_pinyin", "get_tokenizer"]
