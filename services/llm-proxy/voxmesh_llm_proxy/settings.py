"""Settings of the language model proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from voxmesh_llm_proxy.presets import PresetName
from voxmesh_llm_proxy.shapes import Shape
from voxmesh_runtime.settings import ServerSettings


class LlmSettings(ServerSettings):
    """See the strings below the fields; `--help` prints them."""

    max_streams: int = Field(default=32, ge=1)
    """Streams served at once; more are refused with RESOURCE_EXHAUSTED."""
    upstreams_file: Path | None = None
    """TOML or JSON file of named upstreams, in the place of `upstream_url` and the settings that describe it."""
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
    upstream_shape: Shape = Shape.ANY
    """What kind of server the upstream is: any, llama_cpp, vllm, ollama or openai; any finds out by what it refuses."""
    upstream_grammar: bool = True
    """The upstream makes answers keep a schema; otherwise they are held back, judged, and asked for once more."""
    upstream_license: str = ""
    """Licence of the upstream's model, as told by GetModelInfo."""
    concurrency: int | None = Field(default=None, ge=1)
    """Generations the upstream works on at once, more wait; unset takes 4 slots of our own llama.cpp server, or one a
    stream of any other upstream."""
    queue_timeout_s: float = Field(default=30.0, gt=0)
    """Longest wait for one of them, in seconds; then RESOURCE_EXHAUSTED."""
    context_tokens: int = Field(default=2048, ge=256)
    """Context of each slot of our own llama.cpp server, in tokens."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    """Flash attention of our own llama.cpp server."""
    mmproj: Path | None = None
    """GGUF file of the image encoder of our own llama.cpp server's model; images are taken with it."""
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
    cut_history: bool = True
    """Leave out the oldest messages of a conversation that is too long for the model's context, instead of refusing it;
    `finished` tells how many."""
    circuit_failures: int = Field(default=2, ge=1)
    """Failures one after another after which one of several upstreams is left until it answers again."""
    caller_requests_per_minute: int | None = Field(default=None, ge=1)
    """Generations that each caller may ask for in a minute; unset has no limit."""
    caller_tokens_per_minute: int | None = Field(default=None, ge=1)
    """Tokens, read and written, that each caller may cause in a minute; unset has no limit."""
    sampling_preset: PresetName | None = None
    """Sampling by name when the caller sets none, in the place of the four settings below."""
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

    @model_validator(mode="after")
    def _has_one_account_of_upstreams(self) -> Self:
        if self.upstreams_file is not None and self.upstream_url is not None:
            raise ValueError("upstream_url and upstreams_file are both set; remove one of the two")
        return self
