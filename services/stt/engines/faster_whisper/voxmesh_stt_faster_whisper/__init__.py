"""Whisper speech recognition with faster-whisper and CTranslate2."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import Engine
from voxmesh_stt_faster_whisper.engine import FasterWhisperEngine
from voxmesh_stt_faster_whisper.settings import FasterWhisperSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as one.
    """
    return FasterWhisperEngine(context, FasterWhisperSettings())
