"""Where a model comes from, as values and as the text that settings hold.

wheel:distribution==version/member#sha256=...   WheelMember
hub:organisation/name@revision                  HubSnapshot
path:/some/where, or a plain path               LocalPath
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from voxmesh_runtime.models.errors import InvalidSourceError

_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]*")
_WHEEL_TEXT = re.compile(r"(?P<distribution>[^=/#]+)==(?P<version>[^/#]+)/(?P<member>[^#]+)#sha256=(?P<sha256>.+)")
# Two letters at least, so that a Windows drive is a path.
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):(?P<rest>.*)")


@dataclass(frozen=True, slots=True)
class WheelMember:
    """One file in a wheel of the package index; nothing of the wheel is installed or run."""

    distribution: str
    version: str
    member: str
    """Path in the wheel, such as `package/model.onnx`."""
    sha256: str
    """Of the member, as 64 lower-case hexadecimal digits."""

    def __post_init__(self) -> None:
        _check(_DISTRIBUTION, self.distribution, "distribution name")
        _check(_VERSION, self.version, "version")
        _check(_SHA256, self.sha256, "sha256 of 64 lower-case hexadecimal digits")
        _check_member(self.member)

    def __str__(self) -> str:
        return f"wheel:{self.distribution}=={self.version}/{self.member}#sha256={self.sha256}"


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """Files of a model repository of a hub, at one revision."""

    repo: str
    """Organisation and name, such as `Qwen/Qwen3-ASR-0.6B`."""
    revision: str = "main"
    """Branch, tag or commit; only a commit never changes."""
    allow_patterns: tuple[str, ...] = ()
    """Files to fetch, such as `*.safetensors`; empty fetches all but code."""
    allow_code: tuple[str, ...] = ()
    """Files of code to fetch all the same, each by its exact path in the repository."""

    def __post_init__(self) -> None:
        _check(_REPO, self.repo, "repository written as organisation/name")
        _check(_REVISION, self.revision, "revision")
        if ".." in self.revision:
            raise InvalidSourceError(f"{self.revision!r} is not a revision")

    def __str__(self) -> str:
        return f"hub:{self.repo}@{self.revision}"


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A file or folder that the operator provides."""

    path: Path

    def __str__(self) -> str:
        return f"path:{self.path}"


ModelSource: TypeAlias = WheelMember | HubSnapshot | LocalPath


def parse_source(text: str) -> ModelSource:
    """The source that a setting names.

    Raises:
        InvalidSourceError: the text is empty, its scheme unknown, or its parts malformed.
    """
    if not text:
        raise InvalidSourceError("a model source must not be empty")
    match = _SCHEME.fullmatch(text)
    if match is None:
        return LocalPath(Path(text))
    scheme, rest = match["scheme"], match["rest"]
    if scheme not in _PARSERS:
        raise InvalidSourceError(f"{text!r} begins with none of wheel:, hub: and path:; write path:{text} for a file")
    return _PARSERS[scheme](rest)


def _parse_wheel(text: str) -> WheelMember:
    match = _WHEEL_TEXT.fullmatch(text)
    if match is None:
        raise InvalidSourceError(f"'wheel:{text}' is not written as wheel:distribution==version/member#sha256=...")
    return WheelMember(**match.groupdict())


def _parse_hub(text: str) -> HubSnapshot:
    repo, at, revision = text.partition("@")
    return HubSnapshot(repo, revision) if at else HubSnapshot(repo)


def _parse_path(text: str) -> LocalPath:
    if not text:
        raise InvalidSourceError("path: names no file")
    return LocalPath(Path(text))


_PARSERS = {"wheel": _parse_wheel, "hub": _parse_hub, "path": _parse_path}


def _check(pattern: re.Pattern[str], value: str, what: str) -> None:
    # Values reach a command line and paths: nothing that reads as an option or leaves its folder may pass.
    if not pattern.fullmatch(value):
        raise InvalidSourceError(f"{value!r} is not a {what}")


def _check_member(member: str) -> None:
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or "\\" in member or str(path) != member or not path.name:
        raise InvalidSourceError(f"{member!r} is not the path of a file in a wheel")
