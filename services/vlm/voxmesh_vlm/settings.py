"""Settings of a vision-language service."""

from __future__ import annotations

from pydantic import Field

from voxmesh_runtime.settings import EngineSettings


class VlmSettings(EngineSettings):
    """See the strings below the fields; `--help` prints them."""

    max_analyses: int = Field(default=2, ge=1)
    """Analyses that hold decoded pictures at once; more wait their turn."""
    max_pending_analyses: int = Field(default=2, ge=1)
    """Analyses of one stream that may wait for the one in progress; one more is refused."""
    max_pending_image_bytes: int = Field(default=32 * 1024 * 1024, ge=1024 * 1024)
    """Picture files, in bytes, that one analysis may hold together."""
    max_pixels: int = Field(default=40_000_000, ge=1_000_000)
    """Pixels that the pictures of one analysis may have together: about 7 bytes of memory each."""
    max_output_tokens: int = Field(default=1024, ge=1)
    """Longest answer in tokens where the caller sets none."""
