"""Qwen3-TTS speech synthesis: preset voices, described voices and those of recordings."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts.engine import Engine
from voxmesh_tts_qwen_tts.engine import QwenTtsEngine


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as the source of one.
    """
    return QwenTtsEngine(context)


__all__ = ["create"]
