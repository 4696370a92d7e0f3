"""Settings of the Qwen3-Embedding engine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class QwenEmbeddingSettings(BaseSettings):
    """Read once at start from `VOXMESH_QWEN_EMBEDDING_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_QWEN_EMBEDDING_", env_ignore_empty=True, frozen=True)

    instruction: str = "Given a web search query, retrieve relevant passages that answer the query"
    """What queries are for when the caller does not say; empty reads them like documents."""
    max_tokens: int = Field(default=32768, ge=64)
    """Longest text in tokens, with its instruction; the model may know fewer."""
    max_batch_tokens: int | None = Field(default=None, ge=16)
    """Tokens of one step, about; unset takes 512 on the CPU and 16384 elsewhere."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Numbers of the weights; auto takes float32 on the CPU and bfloat16 elsewhere."""
