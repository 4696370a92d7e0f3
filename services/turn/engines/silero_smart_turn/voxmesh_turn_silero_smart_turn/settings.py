"""Settings of the Silero and Smart Turn engine."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SileroSmartTurnSettings(BaseSettings):
    """Read once at start from `VOXMESH_SILERO_SMART_TURN_*` variables."""

    model_config = SettingsConfigDict(
        env_prefix="VOXMESH_SILERO_SMART_TURN_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    words: bool = True
    """Judge English transcripts beside the sound, where a caller sends them; costs 70 MB, and 15 ms a word."""
    words_model: str | None = Field(default=None)
    """GGUF file of the language model that judges them; unset takes SmolLM2-135M-Instruct."""
