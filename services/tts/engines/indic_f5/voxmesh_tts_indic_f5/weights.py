"""The published file's tensors as the two models they belong to, checked one by one.

The file was saved from compiled modules: `ema_model._orig_mod.transformer...` is the acoustic model
and `vocoder._orig_mod....` the vocoder; `_orig_mod.` may be missing. It has no configuration: the
widths are read from the tensors' shapes, what shapes do not tell is the old architecture of F5-TTS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.quoting import listed, quote
from voxmesh_tts_indic_f5.checkpoint import HERTZ, HOP_SAMPLES, MELS, VOCABULARY, WEIGHTS
from voxmesh_tts_indic_f5.library import CFM, DiT, ISTFTHead, VocosBackbone, get_tokenizer

_FFT_SAMPLES = 1024

_MEL_SPEC = {
    "n_fft": _FFT_SAMPLES,
    "hop_length": HOP_SAMPLES,
    "win_length": _FFT_SAMPLES,
    "n_mel_channels": MELS,
    "target_sample_rate": HERTZ,
    "mel_spec_type": "vocos",
}
_MOST_NAMED = 5
_NOT_WEIGHTS = re.compile(r"initted|step|mel_spec\..*|feature_extractor\..*")
"""Of training, and of mel spectra, which are computed."""

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Models:
    """The two models on the CPU, in float32."""

    acoustic: Any
    """The library's `CFM`; modules of torch have no types."""
    vocoder: Any
    """From mel spectra (batch, mels, frames) to samples (batch, samples)."""
    vocabulary: Mapping[str, int]
    """Characters the model knows; 0 is the space, and stands for those it does not know."""


def old_transformer(**widths: Any) -> DiT:
    """The transformer as it was when IndicF5 was tuned.

    The same weights load into today's too, and then speak no language at all.

    Args:
        widths: of the library's `DiT`.
    """
    transformer: Any = DiT
    return transformer(mel_dim=MELS, text_mask_padding=False, pe_attn_head=1, **widths)


def read_models(folder: Path) -> Models:
    """Load what the folder of a checkpoint holds.

    Raises:
        FailedPrecondition: a file is damaged, a tensor is missing or of another shape, or the vocabulary is another's.
    """
    path = folder / WEIGHTS
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _refused(path, f"cannot be read as safetensors ({error}); fetch it again") from error
    vocabulary = _vocabulary(folder / VOCABULARY)
    acoustic, vocoder = _part(tensors, "ema_model"), _part(tensors, "vocoder")
    for name, part in (("ema_model", acoustic), ("vocoder", vocoder)):
        if not part:
            raise _refused(path, f"has no tensor named {name}.…; it is no checkpoint of IndicF5")
    return Models(_acoustic(path, acoustic, vocabulary), _vocoder(path, vocoder), vocabulary)


def _vocabulary(path: Path) -> dict[str, int]:
    try:
        characters: dict[str, int] = dict(get_tokenizer(str(path), "custom")[0] or {})
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, f"cannot be read ({error}); fetch it again") from error
    if characters.get(" ") != 0:
        raise _refused(path, "must begin with a line that is one space: 0 stands for characters that the model lacks")
    return characters


def _part(tensors: Tensors, name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}."
    found = {
        key.removeprefix(prefix).replace("_orig_mod.", ""): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }
    return {key: tensor for key, tensor in found.items() if not _NOT_WEIGHTS.fullmatch(key)}


def _acoustic(path: Path, tensors: Tensors, vocabulary: Mapping[str, int]) -> Any:
    shapes = _Shapes(path, "ema_model", tensors)
    known = shapes.size("transformer.text_embed.text_embed.weight", 0) - 1
    if known != len(vocabulary):
        problem = f"is of another model: it has {len(vocabulary)} characters, and the weights are of {known}"
        raise _refused(path.parent / VOCABULARY, problem)
    dim, dim_head = shapes.size("transformer.proj_out.weight", 1), _dim_head(tensors)
    transformer = old_transformer(
        dim=dim,
        depth=shapes.count("transformer.transformer_blocks"),
        heads=shapes.size("transformer.transformer_blocks.0.attn.to_q.weight", 0) // dim_head,
        dim_head=dim_head,
        ff_mult=shapes.size("transformer.transformer_blocks.0.ff.ff.0.0.weight", 0) // dim,
        text_dim=shapes.size("transformer.text_embed.text_embed.weight", 1),
        conv_layers=shapes.count("transformer.text_embed.text_blocks"),
        text_num_embeds=known,
    )
    model = CFM(transformer=transformer, mel_spec_kwargs=_MEL_SPEC, vocab_char_map=dict(vocabulary))
    return shapes.filled(model)


def _dim_head(tensors: Tensors) -> int:
    frequencies = tensors.get("transformer.rotary_embed.inv_freq")
    return 64 if frequencies is None else 2 * len(frequencies)


def _vocoder(path: Path, tensors: Tensors) -> Any:
    shapes = _Shapes(path, "vocoder", tensors)
    dim = shapes.size("backbone.embed.weight", 0)
    backbone = VocosBackbone(
        input_channels=MELS,
        dim=dim,
        intermediate_dim=shapes.size("backbone.convnext.0.pwconv1.weight", 0),
        num_layers=shapes.count("backbone.convnext"),
    )
    head = ISTFTHead(dim, _FFT_SAMPLES, HOP_SAMPLES, padding="center")
    model = nn.Sequential()
    model.add_module("backbone", backbone)
    model.add_module("head", head)
    return shapes.filled(model)


class _Shapes:
    """What the tensors of one part tell of its architecture."""

    def __init__(self, path: Path, part: str, tensors: Tensors) -> None:
        self._path = path
        self._part = part
        self._tensors = tensors

    def size(self, name: str, dimension: int) -> int:
        """The size of a tensor in one dimension."""
        tensor = self._tensors.get(name)
        if tensor is None or tensor.ndim <= dimension:
            raise self._missing([name])
        return tensor.shape[dimension]

    def count(self, name: str) -> int:
        """How many modules a list of modules has."""
        numbers = [re.match(rf"{re.escape(name)}\.(\d+)\.", key) for key in self._tensors]
        return max((int(found[1]) + 1 for found in numbers if found), default=0)

    def filled(self, model: Any) -> Any:
        """`model` with the tensors as its weights, ready to speak."""
        wanted: dict[str, torch.Tensor] = model.state_dict()
        # It is computed, and some saved it while others did not.
        optional = {name for name in wanted if name.endswith("rotary_embed.inv_freq")}
        missing = wanted.keys() - self._tensors.keys() - optional
        if missing:
            raise self._missing(sorted(missing))
        unknown = self._tensors.keys() - wanted.keys()
        if unknown:
            raise self._refused(f"has tensors that IndicF5 does not have: {self._named(sorted(unknown))}")
        for name, tensor in self._tensors.items():
            if tensor.shape != wanted[name].shape:
                problem = f"must have the shape {_shape(wanted[name])}, not {_shape(tensor)}"
                raise self._refused(f"is damaged or of another model: {self._part}.{name} {problem}")
        model.load_state_dict(dict(self._tensors), strict=False)
        return model.eval().requires_grad_(requires_grad=False)

    def _missing(self, names: list[str]) -> FailedPrecondition:
        return self._refused(f"lacks tensors of IndicF5: {self._named(names)}")

    def _refused(self, problem: str) -> FailedPrecondition:
        return _refused(self._path, problem)

    def _named(self, names: list[str]) -> str:
        return listed((f"{self._part}.{name}" for name in names), _MOST_NAMED)


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "of a single number"


def _refused(path: Path, problem: str) -> FailedPrecondition:
    return FailedPrecondition("model", str(path), f"{path.name} of {quote(str(path.parent))} {problem}")
