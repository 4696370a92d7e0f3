"""Settings of the Moonshine engine."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voxmesh_stt.utterances import UtteranceSettings


class MoonshineSettings(UtteranceSettings):
    """Read once at start from `VOXMESH_MOONSHINE_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_MOONSHINE_")

    settle_s: float = Field(default=0.064, ge=0.05, le=0.5)
    """Silence, in seconds, after which speech is decoded as if it were over. The model takes 0.1 s for an utterance."""
    max_utterance_s: float = Field(default=20.0, ge=5, le=30)
    """Longest utterance, in seconds; longer speech is cut at its quietest place. The model was made for 30 s."""
