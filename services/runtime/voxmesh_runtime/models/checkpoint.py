"""A model that is a folder of files, by its published name or by the operator's own source."""

from __future__ import annotations

from collections.abc import Callable
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
    published: Published
    """Those of its kind."""

    def fetch(self, cache_dir: Path) -> Path:
        """The folder of its files; blocks while it downloads.

        Raises:
            ModelError: they are not to be had.
            FailedPrecondition: the folder holds no model of this kind.
        """
        folder = ModelStore(cache_dir).fetch(self.source)
        problem = self.published.problem_of(folder)
        if problem:
            advice = f"name a folder with {self.published.kind}, or one of {', '.join(self.published.names)}"
            raise FailedPrecondition("model", self.name, f"{folder} {problem}; {advice}")
        return folder


@dataclass(frozen=True, slots=True)
class Published:
    """The repositories of a hub that an engine was written for."""

    kind: str
    """What their makers call them, such as Qwen3-VL."""
    names: tuple[str, ...]
    """The default first."""
    license: str
    files: tuple[str, ...]
    """Patterns of what is fetched, of these and of any other repository."""
    needed: tuple[str, ...] = ("config.json",)
    """Files without which a folder is none of them."""
    problem: Callable[[Path], str] | None = None
    """Says of a folder that has those why it is none of them all the same; "" if it is one."""

    def find(self, wanted: str | None) -> Checkpoint:
        """The model that the operator asked for: one of these by name, `hub:` or the path of a folder.

        Raises:
            FailedPrecondition: it is not written as a model's source, or names a single file.
        """
        name = self.names[0] if wanted is None else wanted
        try:
            source = HubSnapshot(name) if name in self.names else parse_source(name)
        except InvalidSourceError as error:
            raise FailedPrecondition("model", name, str(error)) from error
        match source:
            case WheelMember():
                problem = f"{self.kind} needs a folder; name a path, a hub repository or one of"
                raise FailedPrecondition("model", name, f"{problem} {', '.join(self.names)}")
            case HubSnapshot():
                known = self.license if source.repo in self.names else "unknown"
                snapshot = HubSnapshot(source.repo, source.revision, allow_patterns=self.files)
                return Checkpoint(source.repo, known, snapshot, self)
            case LocalPath():
                return Checkpoint(source.path.expanduser().resolve().name, "unknown", source, self)

    def problem_of(self, folder: Path) -> str:
        """Why a folder holds none of these models, or only a part of one; "" if it holds one."""
        missing = [name for name in self.needed if not (folder / name).is_file()]
        if missing:
            return f"holds no {missing[0]}"
        return "" if self.problem is None else self.problem(folder)
