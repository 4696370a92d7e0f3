"""Settings of the Qwen3-VL engine, for operators who trade sharpness and length against memory."""

from __future__ import annotations

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class QwenVlSettings(BaseSettings):
    """Read once at start from `VOXMESH_QWEN_VL_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_QWEN_VL_", env_ignore_empty=True, frozen=True)

    min_pixels: int = Field(default=65_536, ge=1024)
    """Smaller pictures are enlarged to so many pixels."""
    max_pixels: int = Field(default=4_194_304, ge=4096)
    """Pixels that the model sees at once; larger pictures are made smaller, several share them. 1024 make a token."""
    max_context_tokens: int = Field(default=32_768, ge=256)
    """Most tokens of pictures, prompt and answer together; their keys and values are the memory of an analysis."""
    max_reading_tokens: int = Field(default=8_192, ge=16)
    """Longest text that is read from one picture, in tokens, its places included."""

    @model_validator(mode="after")
    def _are_in_order(self) -> QwenVlSettings:
        if self.min_pixels > self.max_pixels:
            raise ValueError("min_pixels must not be above max_pixels")
        return self
