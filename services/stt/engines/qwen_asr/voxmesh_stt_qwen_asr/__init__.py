"""Qwen3-ASR speech recognition with context biasing, on GPU or CPU."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import Engine
from voxmesh_stt_qwen_asr.engine import QwenAsrEngine
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as the source of one.
    """
    return QwenAsrEngine(context, QwenAsrSettings())
