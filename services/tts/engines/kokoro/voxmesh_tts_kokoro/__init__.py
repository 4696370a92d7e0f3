"""Kokoro-82M speech synthesis: English voices, by ONNX Runtime or by torch."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts_kokoro.engine import KokoroEngine


def create(context: EngineContext) -> KokoroEngine:
    """The engine; see `voxmesh_tts.engine.Engine`."""
    return KokoroEngine(context)


__all__ = ["create"]
