"""Settings of the language model proxy."""

from __future__ import annotations

from pydantic import Field, SecretStr

from voxmesh_runtime.settings import ServerSettings


class LlmSettings(ServerSettings):
    """See the strings below the fields; `--help` prints them."""

    max_streams: int = Field(default=32, ge=1)
    """Streams served at once; more are refused with RESOURCE_EXHAUSTED."""
    upstream_url: str | None = None
    """OpenAI-compatible server, as http://host:8000/v1; unset starts a llama.cpp server with `model`."""
    upstream_model: str | None = None
    """Model of the upstream to use when a caller names none; unset takes the first that it lists."""
    upstream_api_key: SecretStr | None = None
    """Key that the upstream asks for."""
    upstream_images: bool = False
    """The upstream's model sees images; otherwise they are refused."""
    upstream_tools: bool = True
    """The upstream's model may be given tools; otherwise they are refused."""
    upstream_opens_thoughts: bool | None = None
    """The template of the upstream's model opens its thoughts itself, so that an answer holds `</think>` alone: text
    waits for that tag. Unset learns it from the first such answer, whose thoughts are told as text."""
    upstream_license: str = ""
    """Licence of the upstream's model, as told by GetModelInfo."""
    concurrency: int | None = Field(default=None, ge=1)
    """Generations the upstream works on at once, more wait; unset takes 4 slots of our own llama.cpp server, or one a
    stream of any other upstream."""
    queue_timeout_s: float = Field(default=30.0, gt=0)
    """Longest wait for one of them, in seconds; then RESOURCE_EXHAUSTED."""
    context_tokens: int = Field(default=2048, ge=256)
    """Context of each slot of our own llama.cpp server, in tokens."""
    prompt_threads: int | None = Field(default=None, ge=1)
    """CPU threads of our own llama.cpp server that read prompts; unset takes `threads`. More than there are idle cores
    is far slower than one: the threads wait for one another many times a token."""
    prefill: bool | None = None
    """Let the upstream read what a generation will begin with; unset does so with our own llama.cpp server alone."""
    connect_timeout_s: float = Field(default=3.0, gt=0)
    """Longest wait for a connection to the upstream, in seconds."""
    first_token_timeout_s: float = Field(default=30.0, gt=0)
    """Longest wait for the first token once the request is sent, in seconds."""
    idle_timeout_s: float = Field(default=15.0, gt=0)
    """Longest silence of the upstream in mid-answer, in seconds."""
    retry_attempts: int = Field(default=4, ge=1)
    """Requests sent for one generation while none has given a token."""
    retry_max_wait_s: float = Field(default=2.0, ge=0)
    """Longest wait between two of them, in seconds; an upstream that asks for more is not asked again."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Randomness when the caller sets none."""
    top_p: float = Field(default=0.8, gt=0, le=1)
    """Share of probability to choose from when the caller sets none."""
    top_k: int = Field(default=20, ge=1)
    """Number of tokens to choose from when the caller sets none."""
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    """Penalty on tokens that have occurred when the caller sets none."""
    max_output_tokens: int = Field(default=512, ge=1)
    """Longest answer in tokens when the caller sets none."""
    max_output_tokens_limit: int = Field(default=4096, ge=1)
    """Longest answer in tokens that a caller may ask for."""
    allow_thinking: bool = True
    """Callers may let the model think; otherwise their wish is ignored, and `ready` says so."""
