"""The published package qwen-tts, without what only its demo and its 25 Hz models need; importing this takes 5 s."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from voxmesh_runtime.stand_ins import stand_ins

_LEFT_OUT: dict[str, dict[str, Any]] = {
    "torchaudio": {},
    "torchaudio.compliance": {},
    "torchaudio.compliance.kaldi": {},
    "sox": {},
    "onnxruntime": {},
}


@contextmanager
def quiet() -> Generator[None]:
    """While open, what a library prints and what it warns of goes nowhere."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Looks for what is installed, so it comes before anything stands in for a module.
_transformers_logging = import_module("transformers.utils.logging")
_transformers_logging.set_verbosity_error()
_transformers_logging.disable_progress_bar()
with quiet(), stand_ins(_LEFT_OUT):
    from qwen_tts import Qwen3TTSModel, Qwen3TTSTokenizer
    from qwen_tts.inference.qwen3_tts_model import VoiceClonePromptItem

__all__ = ["Qwen3TTSModel", "Qwen3TTSTokenizer", "VoiceClonePromptItem", "quiet"]
