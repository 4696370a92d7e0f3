"""Settings of the Moonshine engine, for operators who trade cost against eagerness."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class MoonshineSettings(BaseSettings):
    """Read once at start from `VOXMESH_MOONSHINE_*` variables."""

    model_config = SettingsConfigDict(
        env_prefix="VOXMESH_MOONSHINE_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    interim_interval_s: float = Field(default=0.4, ge=0.1)
    """Least new speech, in seconds, between two interim results of one stream."""
    interim_share: float = Field(default=0.3, gt=0, le=1)
    """Largest share of the model's time that interim results of all streams may take."""
    pause_s: float = Field(default=1.5, ge=0.3)
    """Silence, in seconds, after which the engine itself ends a short utterance."""
    max_utterance_s: float = Field(default=20.0, ge=5, le=30)
    """Longest utterance, in seconds; longer speech is cut at its quietest place. The model was made for 30 s."""
