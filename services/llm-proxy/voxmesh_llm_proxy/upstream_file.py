"""Upstreams as an operator writes them: one in the service's settings, or several, named, in a file.

[[upstreams]]
name = "titan"
base_url = "http://titan:8002/v1"
shape = "llama_cpp"
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from voxmesh_llm_proxy.presets import PresetName
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.shapes import Shape
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.files import problem_with

SINGLE = "upstream"
"""Name of the one upstream of the service's settings."""
EVERYBODY = "*"
"""Name of the limits of callers that the file does not name."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Label = Annotated[str, Field(min_length=1, max_length=100)]


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RateLimits(_Written):
    """How much may be asked for in a minute; a whole minute's worth may come at once. Unset has no limit."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Tokens that are read and written."""


class UpstreamLimits(RateLimits):
    """What one upstream is asked for at most."""

    concurrent: int | None = Field(default=None, ge=1)
    """Generations at once; unset takes the slots of our own llama.cpp server, or one a stream of any other."""


class UpstreamSettings(_Written):
    """One upstream."""

    name: Name
    """In logs, answers and GetModelInfo."""
    base_url: str | None = None
    """OpenAI-compatible server, as http://host:8000/v1; unset starts a llama.cpp server with the service's `model`."""
    shape: Shape = Shape.ANY
    """What kind of server it is."""
    model: Label | None = None
    """Its model for callers that name none; unset takes the first that it lists."""
    models: dict[Label, Label] = Field(default_factory=dict)
    """Names that callers use, and this server's name for each."""
    purposes: tuple[Label, ...] = ()
    """What generations it is for, by names of the operator's; empty for all."""
    api_key_file: Path | None = None
    """File of the key that it asks for."""
    images: bool = False
    """Its model sees images."""
    tools: bool = True
    """Its model may be given tools."""
    grammar: bool = True
    """It makes answers keep a schema; otherwise they are held back, judged, and asked for once more."""
    opens_thoughts: bool | None = None
    """As `upstream_opens_thoughts` of the service."""
    license: str = ""
    """Licence of its model."""
    context_tokens: int | None = Field(default=None, ge=256)
    """Context of its default model; unset takes what it lists."""
    sampling_preset: PresetName | None = None
    """Sampling where the caller sets none; unset takes the service's."""
    prefill: bool | None = None
    """As `prefill` of the service."""
    own_slots: bool = False
    """This service alone uses the server's slots, `limits.concurrent` of them, and says which takes a generation."""
    limits: UpstreamLimits = UpstreamLimits()

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("is no address; give one such as http://host:8000/v1")
        return url.rstrip("/")

    @field_validator("api_key_file")
    @classmethod
    def _is_key(cls, path: Path | None) -> Path | None:
        if path is not None and not _read_text(path).strip():
            raise ValueError(f"{path} is empty; write the key into it")
        return path

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.own_slots and (self.shape is not Shape.LLAMA_CPP or self.limits.concurrent is None):
            raise ValueError('own_slots needs shape = "llama_cpp" and limits.concurrent, the number of its slots')
        return self

    @property
    def api_key(self) -> SecretStr | None:
        """The key in its file."""
        return None if self.api_key_file is None else SecretStr(_read_text(self.api_key_file).strip())


class UpstreamsFile(_Written):
    """All that a file holds."""

    upstreams: tuple[UpstreamSettings, ...] = Field(min_length=1)
    """First choice first."""
    hedge_after_s: float | None = Field(default=None, gt=0)
    """Ask a second upstream too when the first wrote nothing for so long; whoever writes first answers."""
    callers: dict[Label, RateLimits] = Field(default_factory=dict)
    """Budgets of callers by name, "*" for each of the others."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [upstream.name for upstream in self.upstreams]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two upstreams are named {twice}; give each a name of its own")
        if sum(upstream.base_url is None for upstream in self.upstreams) > 1:
            raise ValueError("two upstreams have no base_url; only one can be our own llama.cpp server")
        return self


def read_upstreams(path: Path) -> UpstreamsFile:
    """The upstreams of a TOML file, or of a JSON file by its ending.

    Raises:
        FailedPrecondition: the file cannot be read, or a field is wrong; names both.
    """
    try:
        return UpstreamsFile.model_validate(_parsed(path))
    except ValidationError as error:
        # By place; what a field was is not repeated, for it may be a key.
        problems = (f"{'.'.join(map(str, one['loc'])) or 'file'}: {_plain(one['msg'])}" for one in error.errors())
        raise FailedPrecondition("file", str(path), f"{path}: {'; '.join(problems)}") from None
    except ValueError as error:
        raise FailedPrecondition("file", str(path), str(error)) from None


def single_upstream(settings: LlmSettings) -> UpstreamSettings:
    """The upstream of a service that has one, from the service's own settings."""
    return UpstreamSettings.model_construct(
        name=SINGLE,
        base_url=settings.upstream_url,
        shape=Shape.LLAMA_CPP if settings.upstream_url is None else settings.upstream_shape,
        model=settings.upstream_model,
        images=settings.upstream_images or (settings.upstream_url is None and settings.mmproj is not None),
        tools=settings.upstream_tools,
        grammar=settings.upstream_grammar,
        opens_thoughts=settings.upstream_opens_thoughts,
        license=settings.upstream_license,
        prefill=settings.prefill,
        limits=UpstreamLimits(concurrent=settings.concurrency),
    )


def _parsed(path: Path) -> Any:
    text = _read_text(path)
    if path.suffix.lower() == ".json":
        return _of_json(text, path)
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: is no TOML: {error}") from None


def _of_json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is no JSON: {error}") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(problem_with(error, path)) from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no UTF-8 text") from None


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
