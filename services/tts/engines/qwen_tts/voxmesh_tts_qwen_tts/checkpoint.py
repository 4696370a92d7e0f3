"""Which models there are, and which of their files are needed."""

from __future__ import annotations

import json
from pathlib import Path

from voxmesh_runtime.models import Published
from voxmesh_tts_qwen_tts.voices import Kind

_CODEC = "qwen3_tts_tokenizer_12hz"
"""Of the published models: the one that gives speech frame by frame."""


def _problem(folder: Path) -> str:
    """Why a checkpoint is none of these; "" if it is one. The libraries would make another model of their own size."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        kind, codec, voices = (config.get(name) for name in ("model_type", "tokenizer_type", "tts_model_type"))
    except (ValueError, AttributeError):
        return "has a config.json that cannot be read"
    if kind != "qwen3_tts":
        return f"is a model of type {kind}"
    if codec != _CODEC:
        return f"speaks by {codec}, and only {_CODEC} is known here"
    return "" if voices in set(Kind) else f"is a {voices} model, and only {', '.join(Kind)} are known here"


PUBLISHED = Published(
    "Qwen3-TTS",
    (
        "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice",
        "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice",
        "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign",
        "Qwen/Qwen3-TTS-12Hz-1.7B-Base",
        "Qwen/Qwen3-TTS-12Hz-0.6B-Base",
    ),
    "Apache-2.0",
    ("*.json", "*.safetensors", "*.txt"),
    needed=("config.json", "generation_config.json", "speech_tokenizer/config.json"),
    problem=_problem,
)
