"""Settings of the remote engine: where the server is, which voices it has, and how long to wait for it."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voxmesh_runtime.upstreams import shown_address

RESERVED_FIELDS = frozenset({"input", "model", "voice", "response_format", "stream_format", "speed", "instructions"})
"""Fields of a request that the engine itself decides on."""


class OpenAiSpeechSettings(BaseSettings):
    """Read once at start from `VOXMESH_OPENAI_SPEECH_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_OPENAI_SPEECH_", env_ignore_empty=True, frozen=True)

    base_url: str = ""
    """The server, as http://host:8000/v1; `/audio/speech`, `/audio/voices` and `/models` are below it."""
    api_key: SecretStr | None = None
    """Key that the server asks for, sent as a bearer token."""
    license: str = "unknown"
    """Licence of the server's model, as told by GetModelInfo."""
    voices: tuple[str, ...] = ()
    """Voices to offer as a JSON list, the default first; empty offers those that the server lists."""
    voice: str = ""
    """Voice of callers who name none; empty takes the first. A server that lists none has this one alone."""
    language_codes: tuple[str, ...] = Field(default=("en",), min_length=1)
    """What the voices speak, as a JSON list of BCP-47 tags, the model's own first."""
    voice_language_codes: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """The same for single voices, as a JSON object such as {"hf_alpha": ["hi"]}; goes before what the server lists."""
    response_formats: tuple[str, ...] = Field(default=("pcm", "wav", "flac"), min_length=1)
    """Formats to ask for, as a JSON list; the first that the server gives at start is used."""
    pcm_sample_rate_hertz: int = Field(default=24000, ge=8000, le=48000)
    """Rate of `pcm`, which has no header to tell it; 24000 by OpenAI's definition."""
    streaming: bool = True
    """Ask for audio while it is made where the server knows `stream_format`."""
    speed: bool = True
    """Send `speed` where the server heeds it; otherwise speaking rates are ignored, and `ready` says so."""
    instructions: bool = False
    """The server's model follows `instructions`; otherwise they are ignored, and `ready` says so."""
    max_input_characters: int = Field(default=4096, ge=40)
    """Longest text of one request; OpenAI takes 4096 characters."""
    probe_text: str = Field(default="Hello, how are you today?", min_length=1)
    """What is spoken at start to find out what the server can do, in a language of its model."""
    connect_timeout_s: float = Field(default=3.0, gt=0)
    """Longest wait for a connection, in seconds."""
    first_audio_timeout_s: float = Field(default=10.0, gt=0)
    """Longest wait for a clause's first audio, in seconds, with the wait for a free request and all retries."""
    silence_timeout_s: float = Field(default=5.0, gt=0)
    """Longest wait for more audio of a clause that has begun, in seconds."""
    start_timeout_s: float = Field(default=30.0, ge=0)
    """At start, longest wait for a server that is away or still loads, in seconds; 0 asks once."""
    retry_attempts: int = Field(default=2, ge=1)
    """Requests sent for one clause while the server fails, before any audio, in a way that may pass."""
    retry_max_wait_s: float = Field(default=2.0, ge=0)
    """Longest wait between two of them, in seconds; a server that asks for more is not asked again."""
    max_concurrent_requests: int = Field(default=8, ge=1)
    """Requests that the server gets at once; more wait."""
    extra_fields: dict[str, str | bool | int | float] = Field(default_factory=dict[str, str | bool | int | float])
    """Further fields of every request, as a JSON object, such as {"language": "English"}."""

    @field_validator("api_key")
    @classmethod
    def _on_one_line(cls, key: SecretStr | None) -> SecretStr | None:
        # Files that keys come from end with a line break, which no header takes.
        return None if key is None else SecretStr(key.get_secret_value().strip())

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
