"""Checkpoints of the real architecture with random weights, about a megabyte, for tests and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from voxmesh_runtime.audio import Samples, write_wav
from voxmesh_tts_indic_f5.checkpoint import HERTZ, HOP_SAMPLES, MELS, VOCABULARY, VOICES, WEIGHTS
from voxmesh_tts_indic_f5.library import CFM, ISTFTHead, VocosBackbone
from voxmesh_tts_indic_f5.voices import MANIFEST
from voxmesh_tts_indic_f5.weights import old_transformer

TRANSCRIPTS = {"kn": "ನಮಸ್ಕಾರ, ನೀವು ಹೇಗಿದ್ದೀರಿ?", "hi": "नमस्ते, आप कैसे हैं?"}
"""What the made up voices say, each in a second and a half."""

_SCRIPTS = (range(0x0900, 0x0980), range(0x0C80, 0x0D00), range(0x20, 0x7F))
_WIDTH = 64
_VOCODER_WIDTH = 32


def write_random_checkpoint(folder: Path, *, prefix: str = "_orig_mod.", seed: int = 0) -> Path:
    """Write a model that says nothing sensible, yet always the same of the same text and voice.

    Args:
        folder: gets the checkpoint, with one voice for each of `TRANSCRIPTS`.
        prefix: of the names of tensors, behind the model's.
        seed: of the weights.

    Returns:
        The folder.
    """
    characters = [" ", *sorted({chr(code) for codes in _SCRIPTS for code in codes} - {" "})]
    torch.manual_seed(seed)
    parts: dict[str, nn.Module] = {"ema_model": _acoustic(len(characters)), "vocoder": _vocoder()}
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


def _acoustic(characters: int) -> CFM:
    transformer = old_transformer(
        dim=_WIDTH,
        depth=2,
        heads=2,
        dim_head=_WIDTH // 2,
        ff_mult=2,
        text_dim=_WIDTH // 2,
        conv_layers=1,
        text_num_embeds=characters,
    )
    model = CFM(transformer=transformer)
    # The last layers are zero before they are trained: the speech would be the noise that it begins as.
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.08)
    return model


def _vocoder() -> nn.Sequential:
    model = nn.Sequential()
    backbone = VocosBackbone(input_channels=MELS, dim=_VOCODER_WIDTH, intermediate_dim=_VOCODER_WIDTH * 2, num_layers=2)
    head = ISTFTHead(_VOCODER_WIDTH, n_fft=1024, hop_length=HOP_SAMPLES, padding="center")
    model.add_module("backbone", backbone)
    model.add_module("head", head)
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.1)
    return model
