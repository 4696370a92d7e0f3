"""Settings of the IndicConformer engine, for operators who trade cost against accuracy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voxmesh_stt.utterances import UtteranceSettings


class IndicConformerSettings(UtteranceSettings):
    """Read once at start from `VOXMESH_INDIC_CONFORMER_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_INDIC_CONFORMER_")

    decoder: Literal["rnnt", "ctc"] = "rnnt"
    """`rnnt` is the more accurate one, `ctc` the cheaper; only the graphs of the one chosen are loaded."""
    default_language: str = ""
    """Language of streams that name none; empty refuses them, since the model detects no language."""
    max_batch_size: int = Field(default=8, ge=1, le=64)
    """Utterances of different streams that are encoded together."""
    max_utterance_s: float = Field(default=20.0, ge=5, le=30)
    """Longest utterance, in seconds; longer speech is cut at its quietest place. The model was made for 30 s."""
    phrase_weight: float = Field(default=1.0, gt=0, le=20)
    """Log-probability that each letter of a phrase of boost 1 adds to a token that brings it."""
