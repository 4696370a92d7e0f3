"""Settings of an embedding service."""

from __future__ import annotations

from pydantic import Field

from voxmesh_runtime.settings import EngineSettings


class EmbedSettings(EngineSettings):
    """See the strings below the fields; `--help` prints them."""

    max_pending_batches: int = Field(default=4, ge=1)
    """Batches of one stream that may wait for the model; a faster client is held back."""
