"""Settings of a text-to-speech service."""

from __future__ import annotations

from pydantic import Field

from voxmesh_runtime.settings import EngineSettings


class TtsSettings(EngineSettings):
    """See the strings below the fields; `--help` prints them."""

    max_queued_segments: int = Field(default=8, ge=1)
    """Segments of one stream that may wait behind the one being spoken."""
