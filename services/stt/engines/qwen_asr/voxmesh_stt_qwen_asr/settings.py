"""Settings of the Qwen3-ASR engine, for operators who trade cost against eagerness and memory."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voxmesh_stt.utterances import UtteranceSettings


class QwenAsrSettings(UtteranceSettings):
    """Read once at start from `VOXMESH_QWEN_ASR_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_QWEN_ASR_", env_ignore_empty=True)

    interim_interval_s: float = Field(default=1.0, ge=0.1)
    """Least new speech, in seconds, between two interim results of one stream; the chunk of the model's streaming."""
    max_utterance_s: float = Field(default=120.0, ge=5, le=1200)
    """Longest utterance, in seconds; longer speech is cut at its quietest place."""
    backend: Literal["auto", "transformers", "vllm"] = "auto"
    """What runs the model; auto takes vLLM when it is installed and a GPU is there."""
    aligner: str | None = None
    """Model of word times, such as Qwen/Qwen3-ForcedAligner-0.6B, by name, `hub:` or path; unset gives none."""
    max_batch_size: int = Field(default=8, ge=1, le=128)
    """Streams whose audio is decoded together."""
    unfixed_chunk_num: int = Field(default=2, ge=0)
    """Decodes at the start of an utterance that take up nothing of the text before."""
    unfixed_token_num: int = Field(default=5, ge=0)
    """Last tokens of the text before that each later decode writes anew."""
    max_new_tokens: int = Field(default=512, ge=16, le=4096)
    """Most tokens that one decode may write."""
    max_context_tokens: int = Field(default=2048, ge=16, le=32768)
    """Longest context with its phrases, in tokens; what is over is left out, and the caller is told."""
    vllm_memory_share: float = Field(default=0.5, gt=0, lt=1)
    """Share of the GPU's memory that vLLM may take."""
