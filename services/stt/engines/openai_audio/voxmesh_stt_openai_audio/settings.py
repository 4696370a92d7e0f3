"""Settings of the remote engine: where the server is, what it may be asked, and how long to wait for it."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from voxmesh_runtime.language_tags import LanguageTag
from voxmesh_runtime.upstreams import shown_address
from voxmesh_stt.utterances import UtteranceSettings

RESERVED_FIELDS = frozenset(
    {"file", "model", "language", "prompt", "response_format", "timestamp_granularities[]", "stream"}
)
"""Fields of a request that the engine itself decides on."""


class OpenAiAudioSettings(UtteranceSettings):
    """Read once at start from `VOXMESH_OPENAI_AUDIO_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_OPENAI_AUDIO_", env_ignore_empty=True)

    base_url: str = ""
    """The server, as http://host:8000/v1; `/audio/transcriptions` and `/models` are below it."""
    api_key: SecretStr | None = None
    """Key that the server asks for, sent as a bearer token."""
    license: str = "unknown"
    """Licence of the server's model, as told by GetModelInfo."""
    language_codes: tuple[LanguageTag, ...] = ()
    """Languages of the server's model as a JSON list of BCP-47 tags; callers who ask for another one are refused.
    Empty lets the server judge."""
    timeout_s: float = Field(default=15.0, gt=0)
    """Longest wait for a final result, in seconds, with all retries and the wait for a free request."""
    interim_timeout_s: float = Field(default=2.0, gt=0)
    """Longest wait for an interim result, in seconds; then it is given up."""
    connect_timeout_s: float = Field(default=3.0, gt=0)
    """Longest wait for a connection, in seconds."""
    start_timeout_s: float = Field(default=30.0, ge=0)
    """At start, longest wait for a server that is away or still loads, in seconds; 0 asks once."""
    retry_attempts: int = Field(default=3, ge=1)
    """Requests sent for one final result while the server fails in a way that may pass."""
    retry_max_wait_s: float = Field(default=2.0, ge=0)
    """Longest wait between two of them, in seconds; a server that asks for more is not asked again."""
    max_concurrent_requests: int = Field(default=8, ge=1)
    """Requests that the server gets at once; more wait."""
    interim_share: float = Field(default=0.5, gt=0, le=1)
    """Largest share of these requests that may be for interim results; at least one."""
    interim_interval_s: float = Field(default=0.6, ge=0.1)
    """Least new speech, in seconds, between two interim results of one stream; each sends the utterance anew."""
    max_utterance_s: float = Field(default=20.0, ge=5, le=600)
    """Longest utterance, in seconds; longer speech is cut at its quietest place. Whisper was made for 30 s."""
    streaming: bool = True
    """Ask for server-sent events where the server knows them."""
    verbose_json: bool = True
    """Ask for `verbose_json` where the server knows it: word times and the detected language."""
    prompt: bool = True
    """Send phrases and context as `prompt`; otherwise they are ignored, and `ready` says so."""
    prompt_max_characters: int = Field(default=800, ge=100)
    """Longest prompt, in characters. Whisper reads the last 224 tokens and silently drops what comes before."""
    extra_fields: dict[str, str | bool | int | float] = Field(default_factory=dict[str, str | bool | int | float])
    """Further form fields of every request, as a JSON object; `temperature` is 0 unless it is set here."""

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

    @property
    def interim_limit(self) -> int:
        """Requests for interim results at once."""
        return max(1, int(self.interim_share * self.max_concurrent_requests))
