"""Which model to load and where its files come from."""

from __future__ import annotations

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

DEFAULT_MODEL = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice"
PUBLISHED = (
    DEFAULT_MODEL,
    "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice",
    "Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign",
    "Qwen/Qwen3-TTS-12Hz-1.7B-Base",
    "Qwen/Qwen3-TTS-12Hz-0.6B-Base",
)
_FILES = ("*.json", "*.safetensors", "*.txt")
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
        if missing:
            problem = f"{folder} holds no {missing[0]}; name the folder of a Qwen3-TTS model"
            raise FailedPrecondition("model", self.name, problem)
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
