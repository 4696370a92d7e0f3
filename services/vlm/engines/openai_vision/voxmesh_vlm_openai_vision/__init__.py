"""Pictures by any server with OpenAI's chat completions."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_vlm.engine import Engine
from voxmesh_vlm_openai_vision.engine import OpenAiVisionEngine
from voxmesh_vlm_openai_vision.settings import OpenAiVisionSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet connected.

    Raises:
        FailedPrecondition: no server is configured.
    """
    return OpenAiVisionEngine(context, OpenAiVisionSettings())


__all__ = ["create"]
