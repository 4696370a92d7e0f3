"""Settings of the Qwen3-TTS engine."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class QwenTtsSettings(BaseSettings):
    """Read once at start from `VOXMESH_QWEN_TTS_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_QWEN_TTS_", env_ignore_empty=True, frozen=True)

    design: str = Field(default="An adult with a warm, clear voice who speaks calmly.", min_length=1)
    """The voice of a VoiceDesign model where the caller describes none."""
    seed: int = Field(default=0, ge=0)
    """Of the random numbers that every clause is spoken with: the same text sounds the same."""
    max_frames_per_token: float = Field(default=8.0, gt=0)
    """Most speech of a token of the text, in frames of 80 ms; slow speech takes half of the default."""
    max_extra_frames: int = Field(default=25, ge=1)
    """Speech of a clause beyond that, in frames."""
    max_clause_s: float = Field(default=60.0, gt=0)
    """Longest speech of a clause, in seconds, whatever its text."""
    max_recordings: int = Field(default=32, ge=1)
    """Voices of recordings that are kept; the one that was not used for longest goes first."""
