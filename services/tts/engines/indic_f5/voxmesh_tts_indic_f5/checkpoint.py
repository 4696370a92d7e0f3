"""Which model to load, where its files come from, and what all of its kind have in common."""

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

PUBLISHED = "ai4bharat/IndicF5"
WEIGHTS = "model.safetensors"
VOCABULARY = "checkpoints/vocab.txt"
VOICES = "voices"

HERTZ = 24000
HOP_SAMPLES = 256
"""From one frame of a mel spectrum to the next."""
MELS = 100

_FILES = (WEIGHTS, VOCABULARY, f"{VOICES}/*")


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
            FailedPrecondition: the folder does not hold what a model of this kind has.
        """
        folder = ModelStore(cache_dir).fetch(self.source)
        for name in (WEIGHTS, VOCABULARY):
            if not (folder / name).is_file():
                problem = f"{folder} is no model of IndicF5: it must hold {WEIGHTS} and {VOCABULARY}, and has no {name}"
                raise FailedPrecondition("model", self.name, problem)
        return folder


def find_checkpoint(wanted: str | None) -> Checkpoint:
    """The model that the operator asked for; None takes the published one.

    Raises:
        FailedPrecondition: it is not written as a model's source, or names a single file.
    """
    name = PUBLISHED if wanted is None else wanted
    try:
        source = HubSnapshot(PUBLISHED) if name == PUBLISHED else parse_source(name)
    except InvalidSourceError as error:
        raise FailedPrecondition("model", name, str(error)) from error
    match source:
        case WheelMember():
            problem = f"IndicF5 needs a folder; name a path or a hub repository such as hub:{PUBLISHED}"
            raise FailedPrecondition("model", name, problem)
        case HubSnapshot():
            snapshot = HubSnapshot(source.repo, source.revision, allow_patterns=_FILES)
            return Checkpoint(source.repo, "MIT" if source.repo == PUBLISHED else "unknown", snapshot)
        case LocalPath():
            return Checkpoint(source.path.expanduser().resolve().name, "unknown", source)
