"""Settings of the Qwen3-Reranker engine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class QwenRerankerSettings(BaseSettings):
    """Read once at start from `VOXMESH_QWEN_RERANKER_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_QWEN_RERANKER_", env_ignore_empty=True, frozen=True)

    instruction: str = Field(
        default="Given a web search query, retrieve relevant passages that answer the query", min_length=1
    )
    """What makes a document a good answer when the caller does not say."""
    max_tokens: int = Field(default=8192, ge=256)
    """Longest query with a document and all that is around them, in tokens; the model may know fewer."""
    max_batch_tokens: int | None = Field(default=None, ge=16)
    """Tokens of one step, about; unset takes 512 on the CPU and 16384 elsewhere."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Numbers of the weights; auto takes float32 on the CPU and bfloat16 elsewhere."""
