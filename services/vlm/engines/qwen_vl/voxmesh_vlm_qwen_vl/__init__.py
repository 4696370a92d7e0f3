"""Qwen3-VL on pictures and video frames, on GPU or CPU."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_vlm.engine import Engine
from voxmesh_vlm_qwen_vl.engine import QwenVlEngine
from voxmesh_vlm_qwen_vl.settings import QwenVlSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as the source of one.
    """
    return QwenVlEngine(context, QwenVlSettings())
