"""Checkpoints of the real architecture with random weights, about a megabyte, for tests and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from voxmesh_runtime.audio import Samples, write_wav
from voxmesh_tts_indic_f5.checkpoint import HERTZ, HOP_SAMPLES, MELS, VOCABULARY, VOICES, WEIGHTS
from voxmesh_tts_indic_f5.library import CFM, ISTFTHead, VocosBackbone
from voxmesh_tts_indic_f5.voices import MANIFEST
from voxmesh_tts_indic_f5.weights import old_transformer

ModuleT = TypeVar("ModuleT", bound=nn.Module)

TRANSCRIPTS = {"kn": "ನಮಸ್ಕಾರ, ನೀವು ಹೇಗಿದ್ದೀರಿ?", "hi": "नमस्ते, आप कैसे हैं?"}
"""What the made up voices say, each in a second and a half."""

_SCRIPTS = (range(0x0900, 0x0980), range(0x0C80, 0x0D00), range(0x20, 0x7F))


@dataclass(frozen=True, slots=True)
class Widths:
    """Sizes of the two models; those of the published ones are `PUBLISHED`."""

    dim: int = 64
    depth: int = 2
    heads: int = 2
    text_dim: int = 32
    conv_layers: int = 1
    vocoder_dim: int = 32
    vocoder_inner_dim: int = 64
    vocoder_layers: int = 2


PUBLISHED = Widths(1024, 22, 16, 512, 4, 512, 1536, 8)


def write_random_checkpoint(
    folder: Path, *, widths: Widths = Widths(), prefix: str = "_orig_mod.", seed: int = 0
) -> Path:
    """Write a model that says nothing sensible, yet always the same of the same text and voice.

    Args:
        folder: gets the checkpoint, with one voice for each of `TRANSCRIPTS`.
        widths: of the models; the default takes a megabyte.
        prefix: of the names of tensors, behind the model's.
        seed: of the weights.

    Returns:
        The folder.
    """
    characters = [" ", *sorted({chr(code) for codes in _SCRIPTS for code in codes} - {" "})]
    torch.manual_seed(seed)
    parts: dict[str, nn.Module] = {"ema_model": _acoustic(widths, len(characters)), "vocoder": _vocoder(widths)}
    tensors = {
        f"{part}.{prefix}{name}": tensor.contiguous()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    (folder / VOCABULARY).parent.mkdir(parents=True, exist_ok=True)
    (folder / VOCABULARY).write_text("".join(f"{character}\n" for character in characters), "utf-8")
    save_file(tensors, folder / WEIGHTS)
    write_voices(folder / VOICES, TRANSCRIPTS)
    return folder


def write_voices(folder: Path, transcripts: Mapping[str, str]) -> None:
    """Write one voice a language, called by its code, with its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    voices = [
        {"name": code, "audio": f"{code}.wav", "transcript": transcript, "language": code, "gender": "female"}
        for code, transcript in transcripts.items()
    ]
    (folder / MANIFEST).write_text(json.dumps({"voices": voices}, ensure_ascii=False), "utf-8")
    for place, code in enumerate(transcripts):
        write_wav(folder / f"{code}.wav", babble(1.5, pitch_hertz=120 + 80 * place), HERTZ)


def babble(duration_s: float, *, pitch_hertz: float = 120.0, pauses_s: tuple[float, ...] = ()) -> Samples:
    """A buzz that swells four times a second, as speech does, with a third of a second of silence at `pauses_s`."""
    at_s = np.arange(round(duration_s * HERTZ)) / HERTZ
    buzz = sum(np.sin(2 * np.pi * pitch_hertz * harmonic * at_s) / harmonic for harmonic in range(1, 6))
    loudness = 0.15 * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at_s))
    for pause_s in pauses_s:
        loudness[(pause_s <= at_s) & (at_s < pause_s + 1 / 3)] = 0.0
    return (buzz * loudness).astype(np.float32)


def _acoustic(widths: Widths, characters: int) -> CFM:
    transformer = old_transformer(
        dim=widths.dim,
        depth=widths.depth,
        heads=widths.heads,
        dim_head=widths.dim // widths.heads,
        ff_mult=2,
        text_dim=widths.text_dim,
        conv_layers=widths.conv_layers,
        text_num_embeds=characters,
    )
    # The last layers are zero before they are trained: the speech would be the noise that it begins as.
    return _randomised(CFM(transformer=transformer), 0.64 / widths.dim**0.5)


def _vocoder(widths: Widths) -> nn.Sequential:
    model = nn.Sequential()
    backbone = VocosBackbone(MELS, widths.vocoder_dim, widths.vocoder_inner_dim, widths.vocoder_layers)
    model.add_module("backbone", backbone)
    model.add_module("head", ISTFTHead(widths.vocoder_dim, n_fft=1024, hop_length=HOP_SAMPLES, padding="center"))
    return _randomised(model, 0.57 / widths.vocoder_dim**0.5)


def _randomised(model: ModuleT, deviation: float) -> ModuleT:
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=deviation)
    return model
