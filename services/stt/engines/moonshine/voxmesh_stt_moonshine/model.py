"""The loaded Moonshine model: where its files are, and speech in, text out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from moonshine_voice import ModelArch, MoonshineError
from moonshine_voice.transcriber import Transcriber

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.errors import FailedPrecondition

DEFAULT_MODEL = "moonshine/tiny-en"
SAMPLE_RATE_HERTZ = 16000
MODEL_FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")

TRAILING_SILENCE_S = 0.5
"""Silence appended to speech; without it the last word suffers."""

_OPTIONS = {
    # The library's own segmentation carries state from one call into the next, where it shows as
    # a leading "You" or "?". The session cuts speech itself and the library decodes just that.
    "vad_threshold": "0",
    "vad_max_segment_duration": "60",
    "return_audio_data": "false",
    # Twice what fast speech has. At the library's 6.5 a text that repeats itself stops as if it had been said.
    "max_tokens_per_second": "12",
}


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The files of one model and what it is called."""

    name: str
    license: str
    path: Path


def find_model(wanted: str | None) -> ModelFolder:
    """The folder of the model that the operator asked for; None takes the one in the package.

    Raises:
        FailedPrecondition: it is neither the packaged model's name nor a folder with a model's files.
    """
    if wanted in {None, DEFAULT_MODEL}:
        return ModelFolder(DEFAULT_MODEL, "MIT", Path(str(files("moonshine_voice"))) / "assets" / "tiny-en")
    path = Path(str(wanted)).expanduser()
    missing = [name for name in MODEL_FILES if not (path / name).is_file()]
    if missing:
        problem = f"has no {', '.join(missing)}" if path.is_dir() else "is no folder"
        message = f"model {wanted!r} {problem}; give {DEFAULT_MODEL!r} or a folder with {', '.join(MODEL_FILES)}"
        raise FailedPrecondition("model", str(wanted), message)
    return ModelFolder(path.resolve().name, "unknown", path)


class Model:
    """A tiny English model in memory; its calls block and must not overlap.

    Raises:
        FailedPrecondition: the files hold no model of this kind.
    """

    def __init__(self, folder: ModelFolder, threads: int) -> None:
        if threads == 1:
            # The library's only switch; its default of one thread a core costs twice the CPU time.
            os.environ["MOONSHINE_ORT_SINGLE_THREAD"] = "1"
        try:
            self._transcriber = Transcriber(folder.path, ModelArch.TINY, options=_OPTIONS)
        except MoonshineError as error:
            message = f"model {folder.name!r} cannot be loaded as Moonshine tiny: {error}"
            raise FailedPrecondition("model", folder.name, message) from error

    def transcribe(self, speech: Samples) -> str:
        """The text of speech at 16 kHz; empty when it holds no word."""
        silence = np.zeros(round(TRAILING_SILENCE_S * SAMPLE_RATE_HERTZ), np.float32)
        audio = np.concatenate([speech, silence]).tolist()
        lines = self._transcriber.transcribe_without_streaming(audio, SAMPLE_RATE_HERTZ).lines
        text = " ".join(line.text.strip() for line in lines).strip()
        return text if any(character.isalnum() for character in text) else ""

    def close(self) -> None:
        """Free the memory."""
        self._transcriber.close()
