"""A model that is a folder of files, by its published name or by the operator's own source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models.errors import InvalidSourceError
from voxmesh_runtime.models.sources import HubSnapshot, LocalPath, ModelSource, WheelMember, parse_source
from voxmesh_runtime.models.store import ModelStore


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model by the name it is served under."""

    name: str
    license: str
    source: ModelSource

    def fetch(self, cache_dir: Path, needed: Sequence[str] = ("config.json",)) -> Path:
        """The folder of its files; blocks while it downloads.

        Raises:
            ModelError: they are not to be had.
            FailedPrecondition: the folder lacks one of those `needed`.
        """
        folder = ModelStore(cache_dir).fetch(self.source)
        for name in needed:
            if not (folder / name).is_file():
                raise FailedPrecondition("model", self.name, f"{folder} holds no {name}; name the folder of a model")
        return folder


@dataclass(frozen=True, slots=True)
class Published:
    """The repositories of a hub that an engine was written for, the default first."""

    names: tuple[str, ...]
    license: str
    files: tuple[str, ...]
    """Patterns of what is fetched, of these and of any other repository."""

    def find(self, wanted: str | None) -> Checkpoint:
        """The model that the operator asked for: one of these by name, `hub:` or the path of a folder.

        Raises:
            FailedPrecondition: it is not written as a model's source, or names a single file.
        """
        name = self.names[0] if wanted is None else wanted
        if name in self.names:
            return Checkpoint(name, self.license, HubSnapshot(name, allow_patterns=self.files))
        try:
            source = parse_source(name)
        except InvalidSourceError as error:
            raise FailedPrecondition("model", name, str(error)) from error
        match source:
            case WheelMember():
                problem = "the engine needs a folder; name a path, a hub repository or one of"
                raise FailedPrecondition("model", name, f"{problem} {', '.join(self.names)}")
            case HubSnapshot():
                known = self.license if source.repo in self.names else "unknown"
                return Checkpoint(
                    source.repo, known, HubSnapshot(source.repo, source.revision, allow_patterns=self.files)
                )
            case LocalPath():
                return Checkpoint(source.path.expanduser().resolve().name, "unknown", source)
