"""Settings that every engine of whole utterances has, for operators who trade cost against eagerness."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from voxmesh_runtime.outcomes import Outcome, applied, approximated


class UtteranceSettings(BaseSettings):
    """An engine's settings class inherits these and names its own prefix of variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    interim_interval_s: float = Field(default=0.4, ge=0.1)
    """Least new speech, in seconds, between two interim results of one stream."""
    interim_share: float = Field(default=0.3, gt=0, le=1)
    """Largest share of the model's time that interim results of all streams may take."""
    settle_s: float = Field(default=0.2, ge=0.05, le=0.5)
    """Silence, in seconds, after which speech is decoded as if it were over: the sooner, the sooner its text is there,
    and the oftener for nothing."""
    pause_s: float = Field(default=1.5, ge=0.3)
    """Silence, in seconds, after which the engine itself ends a short utterance."""
    max_utterance_s: float = Field(default=20.0, ge=5)
    """Longest utterance, in seconds; longer speech is cut at its quietest place."""


def latency_outcome(wanted_s: float, settings: UtteranceSettings) -> Outcome:
    """How a wish for interim results within `wanted_s` is taken."""
    field = "config.max_latency"
    if wanted_s >= settings.interim_interval_s:
        return applied(field)
    return approximated(field, f"interim results need {settings.interim_interval_s:g} s of new speech")
