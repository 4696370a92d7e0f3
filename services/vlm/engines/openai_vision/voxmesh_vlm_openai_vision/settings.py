"""Settings of the remote engine: where the server is, what it is sent, and how long to wait for it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voxmesh_runtime.upstreams import shown_address

PREFIX = "VOXMESH_OPENAI_VISION_"
RESERVED_FIELDS = frozenset({"model", "messages", "stream", "max_tokens", "response_format"})
"""Fields of a request that the engine itself decides on."""


class OpenAiVisionSettings(BaseSettings):
    """Read once at start from `VOXMESH_OPENAI_VISION_*` variables."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    base_url: str = ""
    """The server, as http://host:8000/v1; `/chat/completions` and `/models` are below it."""
    api_key: SecretStr | None = None
    """Key that the server asks for, sent as a bearer token."""
    license: str = "unknown"
    """Licence of the server's model, as told by GetModelInfo."""
    max_pixels: int = Field(default=4_194_304, ge=65_536)
    """Larger pictures are made smaller before they are sent."""
    layout: Literal["auto", "thousandths", "pixels", "none"] = "auto"
    """How the model tells places: auto finds out at start by a picture of words; with none lines have no corners."""
    json_schema: bool = True
    """Send schemas as `response_format` where the server takes them; otherwise the prompt alone holds them."""
    thinking: bool = False
    """Let the model think before it answers; its thoughts are never part of the answer."""
    max_reading_tokens: int = Field(default=8_192, ge=16)
    """Longest text that is read from one picture, in tokens, its places included."""
    connect_timeout_s: float = Field(default=3.0, gt=0)
    """Longest wait for a connection, in seconds."""
    first_token_timeout_s: float = Field(default=60.0, gt=0)
    """Longest wait for the first token, in seconds, with the wait for a free request and all retries."""
    silence_timeout_s: float = Field(default=20.0, gt=0)
    """Longest wait for more of an answer that has begun, in seconds."""
    start_timeout_s: float = Field(default=30.0, ge=0)
    """At start, longest wait for a server that is away or still loads, in seconds; 0 asks once."""
    retry_attempts: int = Field(default=2, ge=1)
    """Requests sent for one answer while the server fails, before any of it, in a way that may pass."""
    retry_max_wait_s: float = Field(default=2.0, ge=0)
    """Longest wait between two of them, in seconds; a server that asks for more is not asked again."""
    max_concurrent_requests: int = Field(default=8, ge=1)
    """Requests that the server gets at once; more wait."""
    extra_fields: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Further fields of every request, as a JSON object, such as {"temperature": 0.7, "top_p": 0.8}."""

    @field_validator("api_key")
    @classmethod
    def _on_one_line(cls, key: SecretStr | None) -> SecretStr | None:
        # Files that keys come from end with a line break, which no header takes.
        return None if key is None else SecretStr(key.get_secret_value().strip())

    @field_validator("extra_fields")
    @classmethod
    def _are_free(cls, fields: dict[str, Any]) -> dict[str, Any]:
        taken = RESERVED_FIELDS & set(fields)
        if taken:
            raise ValueError(f"the engine itself decides on {', '.join(sorted(taken))}; remove it")
        return fields

    @property
    def shown_url(self) -> str:
        """The server's address without user, password and query, for messages."""
        return shown_address(self.base_url)
