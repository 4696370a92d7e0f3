"""Settings of the Tesseract engine."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TesseractSettings(BaseSettings):
    """Read once at start from `VOXMESH_TESSERACT_*` variables, and Tesseract's own."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_TESSERACT_", env_ignore_empty=True, frozen=True)

    languages: tuple[str, ...] = ("eng", "kan")
    """Data that is tried together where a caller names no language, in order; what is not installed is left out."""
    tessdata_prefix: Path | None = Field(default=None, validation_alias="TESSDATA_PREFIX")
    """Folder of `.traineddata` files that comes before all others."""
