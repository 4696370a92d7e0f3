"""Which model to load and where its files come from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import (
    HubSnapshot,
    InvalidSourceError,
    LocalPath,
    ModelSource,
    ModelStore,
    WheelMember,
    parse_source,
)
from voxmesh_tts_qwen_tts.voices import Kind

DEFAULT_MODEL = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice"
PUBLISHED = (
    DEFAULT_MODEL,
    "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice",
    "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign",
    "Qwen/Qwen3-TTS-12Hz-1.7B-Base",
    "Qwen/Qwen3-TTS-12Hz-0.6B-Base",
)
_FILES = ("*.json", "*.safetensors", "*.txt")
_CODEC = "qwen3_tts_tokenizer_12hz"
"""Of the published models: the one that gives speech frame by frame."""
_NEEDED = ("config.json", "generation_config.json", "speech_tokenizer/config.json")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model by the name it is served under."""

    name: str
    license: str
    source: ModelSource

    def fetch(self, cache_dir: Path) -> Path:
        """The folder of its files; blocks while it downloads.

        Raises:
            ModelError: they are not to be had.
            FailedPrecondition: the folder holds no model of this kind.
        """
        folder = ModelStore(cache_dir).fetch(self.source)
        missing = [name for name in _NEEDED if not (folder / name).is_file()]
        problem = f"holds no {missing[0]}" if missing else _problem(folder / "config.json")
        if problem:
            message = f"{folder} {problem}; name the folder of a Qwen3-TTS model, or one of {', '.join(PUBLISHED)}"
            raise FailedPrecondition("model", self.name, message)
        return folder


def find_checkpoint(wanted: str | None) -> Checkpoint:
    """The model that the operator asked for; None takes the default.

    Raises:
        FailedPrecondition: it is not written as a model's source, or names a single file.
    """
    name = DEFAULT_MODEL if wanted is None else wanted
    try:
        source = HubSnapshot(name) if name in PUBLISHED else parse_source(name)
    except InvalidSourceError as error:
        raise FailedPrecondition("model", name, str(error)) from error
    match source:
        case WheelMember():
            problem = "Qwen3-TTS needs a folder; name a path, a hub repository or one of"
            raise FailedPrecondition("model", name, f"{problem} {', '.join(PUBLISHED)}")
        case HubSnapshot():
            known = "Apache-2.0" if source.repo in PUBLISHED else "unknown"
            return Checkpoint(source.repo, known, HubSnapshot(source.repo, source.revision, allow_patterns=_FILES))
        case LocalPath():
            return Checkpoint(source.path.expanduser().resolve().name, "unknown", source)


def _problem(config_file: Path) -> str:
    """Why a checkpoint is none of these; "" if it is one. The libraries would make another model of their own size."""
    try:
        config = json.loads(config_file.read_text("utf-8"))
        kind, codec, voices = (config.get(name) for name in ("model_type", "tokenizer_type", "tts_model_type"))
    except (ValueError, AttributeError):
        return "has a config.json that cannot be read"
    if kind != "qwen3_tts":
        return f"is a model of type {kind}"
    if codec != _CODEC:
        return f"speaks by {codec}, and only {_CODEC} is known here"
    return "" if voices in set(Kind) else f"is a {voices} model, and only {', '.join(Kind)} are known here"
