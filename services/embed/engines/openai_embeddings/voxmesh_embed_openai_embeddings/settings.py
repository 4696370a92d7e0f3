"""Settings of the remote engine: where the server is, how its model wants texts, and how long to wait for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voxmesh_runtime.upstreams import shown_address

TEXT, INSTRUCTION = "{text}", "{instruction}"
RESERVED_FIELDS = frozenset({"input", "model", "encoding_format", "dimensions"})
"""Fields of a request that the engine itself decides on."""


class OpenAiEmbeddingsSettings(BaseSettings):
    """Read once at start from `VOXMESH_OPENAI_EMBEDDINGS_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_OPENAI_EMBEDDINGS_", env_ignore_empty=True, frozen=True)

    base_url: str = ""
    """The server, as http://host:8000/v1; `/embeddings` and `/models` are below it."""
    api_key: SecretStr | None = None
    """Key that the server asks for, sent as a bearer token."""
    license: str = "unknown"
    """Licence of the server's model, as told by GetModelInfo."""
    query_template: str = TEXT
    """How the model wants queries, such as "query: {text}" or "Instruct: {instruction}\\nQuery:{text}"."""
    document_template: str = TEXT
    """How the model wants documents, such as "passage: {text}"."""
    instruction: str = "Given a web search query, retrieve relevant passages that answer the query"
    """What queries are for when the caller does not say; sent where the template of queries has a place for it."""
    shorter_dimensions: Literal["auto", "yes", "no"] = "auto"
    """The model was trained for shorter vectors; auto asks the server for some at start."""
    max_tokens: int | None = Field(default=None, ge=16)
    """Longest text in tokens; unset takes what the server lists, or else 8192."""
    max_texts: int = Field(default=32, ge=1)
    """Texts of one request; text-embeddings-inference takes 32 by default, OpenAI 2048."""
    max_batch_tokens: int = Field(default=8192, ge=16)
    """Tokens of one step, about, which becomes one request or several."""
    connect_timeout_s: float = Field(default=3.0, gt=0)
    """Longest wait for a connection, in seconds."""
    request_timeout_s: float = Field(default=60.0, gt=0)
    """Longest wait for the vectors of one step, in seconds, with all retries."""
    start_timeout_s: float = Field(default=30.0, ge=0)
    """At start, longest wait for a server that is away or still loads, in seconds; 0 asks once."""
    retry_attempts: int = Field(default=3, ge=1)
    """Requests sent for the same texts while the server fails in a way that may pass."""
    retry_max_wait_s: float = Field(default=5.0, ge=0)
    """Longest wait between two of them, in seconds; a server that asks for more is not asked again."""
    max_concurrent_requests: int = Field(default=8, ge=1)
    """Requests that the server gets at once; more wait."""
    extra_fields: dict[str, str | bool | int | float] = Field(default_factory=dict[str, str | bool | int | float])
    """Further fields of every request, as a JSON object, such as {"truncate_prompt_tokens": -1}."""

    @field_validator("api_key")
    @classmethod
    def _on_one_line(cls, key: SecretStr | None) -> SecretStr | None:
        # Files that keys come from end with a line break, which no header takes.
        return None if key is None else SecretStr(key.get_secret_value().strip())

    @field_validator("query_template", "document_template")
    @classmethod
    def _has_a_text(cls, template: str) -> str:
        if TEXT not in template:
            raise ValueError(f"a template needs a place for the text; write {TEXT}")
        return template

    @field_validator("extra_fields")
    @classmethod
    def _are_free(cls, fields: dict[str, str | bool | int | float]) -> dict[str, str | bool | int | float]:
        taken = RESERVED_FIELDS & set(fields)
        if taken:
            raise ValueError(f"the engine itself decides on {', '.join(sorted(taken))}; remove it")
        return fields

    @property
    def shown_url(self) -> str:
        """The server's address without user, password and query, for messages."""
        return shown_address(self.base_url)
