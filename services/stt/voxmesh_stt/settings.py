"""Settings of a speech-to-text service."""

from __future__ import annotations

from pydantic import Field

from voxmesh_runtime.settings import EngineSettings


class SttSettings(EngineSettings):
    """See the strings below the fields; `--help` prints them."""

    max_pending_audio_s: float = Field(default=30.0, gt=0)
    """Audio in seconds that may wait for the model; a faster client is held back."""
