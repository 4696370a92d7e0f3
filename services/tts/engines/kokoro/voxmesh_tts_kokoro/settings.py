"""Settings of the Kokoro engine."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class KokoroSettings(BaseSettings):
    """Read once at start from `VOXMESH_KOKORO_*` variables."""

    model_config = SettingsConfigDict(env_prefix="VOXMESH_KOKORO_", env_ignore_empty=True, frozen=True)

    backend: Literal["auto", "onnx", "torch"] = "auto"
    """What runs the model: ONNX Runtime, on the CPU, or the package kokoro; auto takes kokoro on a GPU alone."""
    blends: tuple[str, ...] = ()
    """More voices, each mixed of several: `["af_heart+bf_emma", "af_heart:0.6+am_adam:0.4"]`."""
