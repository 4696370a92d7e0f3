"""Settings of the cross-encoder engine."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CrossEncoderSettings(BaseSettings):
    """Read once at start from `VOXMESH_CROSS_ENCODER_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_CROSS_ENCODER_", env_ignore_empty=True, frozen=True)

    max_tokens: int = Field(default=512, ge=32)
    """Longest query with a document and the marks around them, in tokens; the model may know fewer."""
    max_batch_tokens: int = Field(default=512, ge=16)
    """Tokens of one step, about."""
