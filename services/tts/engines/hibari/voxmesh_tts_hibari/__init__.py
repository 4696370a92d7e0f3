"""Hibari speech synthesis on CPU."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts_hibari.engine import HibariEngine


def create(context: EngineContext) -> HibariEngine:
    """The engine; see `voxmesh_tts.engine.Engine`."""
    return HibariEngine(context)


__all__ = ["create"]
