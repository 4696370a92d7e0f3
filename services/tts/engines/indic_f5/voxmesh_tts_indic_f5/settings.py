"""Settings of the IndicF5 engine, for operators who trade speed against quality."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _not_float16(dtype: object) -> object:
    if dtype in {"float16", "fp16", "half"}:
        raise ValueError(
            "float16 turns the speech into noise: values leave its range, and its complex numbers break the vocoder; "
            "set bfloat16, which takes as little memory, or float32"
        )
    return dtype


class IndicF5Settings(BaseSettings):
    """Read once at start from `VOXMESH_INDIC_F5_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_INDIC_F5_", env_ignore_empty=True, frozen=True)

    voices: Path | None = None
    """Folder with voices.json and the recordings that it names; unset takes voices/ in the model's folder."""
    steps: int = Field(default=7, ge=2, le=64)
    """Passes of the model for each clause; 5, 6, 7, 10, 12 and 16 have steps that were chosen for few of them."""
    dtype: Annotated[Literal["bfloat16", "float32"], BeforeValidator(_not_float16)] = "bfloat16"
    """Numbers of the transformer; the vocoder has float32 always."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the noise that speech begins as: the same text and voice sound the same."""
    max_references: int = Field(default=16, ge=1, le=1024)
    """Callers' recordings that are kept prepared, the last used ones; each takes half a megabyte."""
