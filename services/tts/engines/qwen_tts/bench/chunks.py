"""How soon speech begins, and how far audio in chunks is from audio decoded at once, on any checkpoint.

    python services/tts/engines/qwen_tts/bench/chunks.py [FOLDER]

Without a folder a small one with random weights is made: its times say what the libraries cost beside the model.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from voxmesh_runtime.audio import Samples
from voxmesh_tts_qwen_tts.model import Manner, QwenTts
from voxmesh_tts_qwen_tts.settings import QwenTtsSettings
from voxmesh_tts_qwen_tts.talker import frames
from voxmesh_tts_qwen_tts.testing import write_checkpoint

TEXT = "Paris is the capital of France, and it has been so for a very long time, as far as anybody here can tell."
SIZE = 24
FRAMES = 140


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else write_checkpoint(Path(made), "custom_voice")
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
        torch.set_num_threads(1)
        model = QwenTts(folder, device, QwenTtsSettings(max_extra_frames=150))
    manner = Manner(model.speakers[0], next(iter(model.languages.values())))
    list(model.speak("Hello.", manner))
    for count, ms in first_audio(model, manner):
        print(f"frame {count:3}: {ms:6.0f} ms after the text")
    for left, error in errors(model, manner):
        print(f"{left:3} frames before a chunk: error {error:.1e} of the loudness")


def first_audio(model: QwenTts, manner: Manner) -> list[tuple[int, float]]:
    """Milliseconds from the text to each of the first pieces of audio, and the frame that it came with."""
    began, found = time.perf_counter(), list[tuple[int, float]]()
    for count, piece in enumerate(model.speak(TEXT, manner), 1):
        if len(piece):
            found.append((count, (time.perf_counter() - began) * 1000))
    return found[:4]


def errors(model: QwenTts, manner: Manner) -> list[tuple[int, float]]:
    """Root mean square of the difference to audio that is decoded at once, as a share of its own."""
    with torch.inference_mode():
        codes = _codes(model, manner)
        whole = _decoded(model, codes)
        found: list[tuple[int, float]] = []
        for left in (0, 4, 12, 25, 72):
            parts: list[Samples] = []
            for start in range(0, len(codes), SIZE):
                before = min(left, start)
                parts.append(_decoded(model, codes[start - before : start + SIZE])[before * 1920 :])
            difference = np.concatenate(parts) - whole
            found.append((left, float(np.sqrt(np.mean(difference**2)) / whole.std())))
    return found


def _codes(model: QwenTts, manner: Manner) -> list[torch.Tensor]:
    """Frames of the text, said again until they last longer than any context."""
    codes, seed = list[torch.Tensor](), 0
    while len(codes) < FRAMES:
        codes += frames(model.talker, model.prompt(TEXT, manner), FRAMES, seed)
        seed += 1
    return codes


def _decoded(model: QwenTts, codes: Sequence[torch.Tensor]) -> Samples:
    return model.codec.decoder(torch.stack(list(codes)).T[None])[0, 0].float().cpu().numpy()


if __name__ == "__main__":
    main()
