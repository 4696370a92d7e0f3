"""Which model the operator means, and where its `.nemo` file is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import HubSnapshot, LocalPath, ModelSource, ModelStore, WheelMember, parse_source

DEFAULT_MODEL = "nvidia/nemotron-speech-streaming-en-0.6b"
SUFFIX = ".nemo"

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LICENSES = (
    (re.compile("nvidia/nemotron.*", re.IGNORECASE), "LicenseRef-NVIDIA-Open-Model-License"),
    (re.compile("nvidia/(parakeet|canary|stt_).*", re.IGNORECASE), "CC-BY-4.0"),
)
_LANGUAGES = (
    "ar be bg ca cs da de el en eo es et fa fi fr hi hr hu hy it ja ka ko lt lv mt nl pl pt ro ru rw sk sl sv tr uk uz"
    " vi zh"
)


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model by the name that callers see."""

    name: str
    license: str
    source: ModelSource

    def fetch(self, store: ModelStore) -> Path:
        """Its `.nemo` file; blocks while it downloads.

        Raises:
            ModelError: it is not to be had.
            FailedPrecondition: the repository or folder does not hold exactly one `.nemo` file.
        """
        path = store.fetch(self.source)
        if path.is_file():
            return path
        found = sorted(path.glob(f"*{SUFFIX}"))
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise FailedPrecondition(
                "model", self.name, f"{self.name} must hold one {SUFFIX} file, not {names}; give the path of the file"
            )
        return found[0]


def find_model(wanted: str | None) -> NamedModel:
    """The model that the operator asked for; None takes the default from the hub.

    Raises:
        FailedPrecondition: it is a path where no `.nemo` file or folder is.
        InvalidSourceError: it is malformed.
    """
    text = wanted or DEFAULT_MODEL
    if _REPOSITORY.fullmatch(text) and not Path(text).exists():
        text = f"hub:{text}"
    match parse_source(text):
        case HubSnapshot(repo, revision):
            source = HubSnapshot(repo, revision, allow_patterns=(f"*{SUFFIX}",))
            return NamedModel(repo, _license(repo), source)
        case WheelMember() as member:
            return NamedModel(Path(member.member).stem, "unknown", member)
        case LocalPath(path):
            return _local(path.expanduser())


def languages_in_name(name: str) -> tuple[str, ...]:
    """Two-letter tags between separators, as NVIDIA names its models; empty when there is none."""
    parts = re.split(r"[^a-z0-9]+", name.rsplit("/", 1)[-1].lower())
    return tuple(part for part in parts if part in _LANGUAGES.split())


def _license(repository: str) -> str:
    return next((name for pattern, name in _LICENSES if pattern.fullmatch(repository)), "unknown")


def _local(path: Path) -> NamedModel:
    if path.is_dir() or (path.is_file() and path.suffix == SUFFIX):
        return NamedModel(path.resolve().stem, "unknown", LocalPath(path))
    problem = f"is no {SUFFIX} file" if path.is_file() else "does not exist"
    message = f"model {str(path)!r} {problem}; give a {SUFFIX} file or a name such as {DEFAULT_MODEL!r}"
    raise FailedPrecondition("model", str(path), message)
