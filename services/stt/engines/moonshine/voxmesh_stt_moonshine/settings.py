"""Settings of the Moonshine engine."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voxmesh_stt.utterances import UtteranceSettings


class MoonshineSettings(UtteranceSettings):
    """Read once at start from `VOXMESH_MOONSHINE_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_MOONSHINE_")

    max_utterance_s: float = Field(default=20.0, ge=5, le=30)
    """Longest utterance, in seconds; longer speech is cut at its quietest place. The model was made for 30 s."""
