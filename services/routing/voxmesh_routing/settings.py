"""Backends as an operator writes them: slot by slot in variables, or all in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voxmesh_runtime.language_tags import LanguageTag

MAX_PURPOSE_CHARACTERS = 100
Purpose = Annotated[str, Field(min_length=1, max_length=MAX_PURPOSE_CHARACTERS)]


class BackendSettings(BaseModel):
    """One backend of a slot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(min_length=1)
    """gRPC target, such as dns:///stt:50052."""
    languages: tuple[LanguageTag, ...] = ()
    """BCP-47 tags it is to be used for; empty for all."""
    mixed_languages: bool = False
    """It takes languages that are mixed in one utterance."""
    purposes: tuple[Purpose, ...] = ()
    """What conversations it is for, by names of the operator's; empty for all."""


Backends = tuple[BackendSettings, ...]
FileBackends = Annotated[Backends, Field(min_length=1)] | None


class BackendsFile(BaseModel):
    """Backends of each slot, first choice first; a slot that is left out has its target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turn: FileBackends = None
    stt: FileBackends = None
    tts: FileBackends = None
    llm: FileBackends = None
    vlm: FileBackends = None


def read_backends(path: Path) -> dict[str, Backends]:
    """The backends of a JSON file by slot, as {"stt": [{"target": "dns:///stt:50052"}]}.

    Raises:
        ValueError: the file cannot be read, or a field is wrong; names both.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    return parse_backends(text, str(path))


def parse_backends(text: str | bytes, name: str) -> dict[str, Backends]:
    """The backends in the content of a file by slot.

    Raises:
        ValueError: a field is wrong; names it and `name`, the file.
    """
    try:
        content = BackendsFile.model_validate_json(text)
    except ValidationError as error:
        # By slot and place; what a field was is not repeated.
        problems = (f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors())
        raise ValueError(f"{name}: {'; '.join(problems)}") from None
    return {slot: backends for slot, backends in content if backends is not None}
