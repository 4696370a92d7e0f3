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

DEFAULT_MODEL = "Qwen/Qwen3-VL-2B-Instruct"
PUBLISHED = (DEFAULT_MODEL, "Qwen/Qwen3-VL-4B-Instruct", "Qwen/Qwen3-VL-8B-Instruct")
ARCHITECTURE = "qwen3_vl"

_FILES = ("*.json", "*.safetensors", "*.txt", "*.jinja")


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
            FailedPrecondition: the folder holds no Qwen3-VL.
        """
        folder = ModelStore(cache_dir).fetch(self.source)
        try:
            kind = json.loads((folder / "config.json").read_text()).get("model_type")
        except (OSError, ValueError, AttributeError):
            problem = f"{folder} holds no config.json of a model; name the folder of one"
            raise FailedPrecondition("model", self.name, problem) from None
        if kind != ARCHITECTURE:
            problem = (
                f"{folder} holds a model of the kind {kind!r}; this engine runs {', '.join(PUBLISHED)} and their like"
            )
            raise FailedPrecondition("model", self.name, problem)
        return folder


def find_checkpoint(wanted: str | None) -> Checkpoint:
    """The model that the operator asked for; None takes the default.

    Raises:
        FailedPrecondition: it is not written as a model's source, or names a single file.
    """
    name = DEFAULT_MODEL if wanted is None else wanted
    if name in PUBLISHED:
        return Checkpoint(name, "Apache-2.0", HubSnapshot(name, allow_patterns=_FILES))
    try:
        source = parse_source(name)
    except InvalidSourceError as error:
        raise FailedPrecondition("model", name, str(error)) from error
    match source:
        case WheelMember():
            problem = "Qwen3-VL needs a folder; name a path, a hub repository or one of"
            raise FailedPrecondition("model", name, f"{problem} {', '.join(PUBLISHED)}")
        case HubSnapshot():
            snapshot = HubSnapshot(source.repo, source.revision, allow_patterns=_FILES)
            return Checkpoint(source.repo, "Apache-2.0" if source.repo in PUBLISHED else "unknown", snapshot)
        case LocalPath():
            return Checkpoint(source.path.expanduser().resolve().name, "unknown", source)
