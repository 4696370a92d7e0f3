"""Speech recognition by any server with OpenAI's transcriptions endpoint."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import Engine
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet connected.

    Raises:
        FailedPrecondition: no server is configured.
    """
    return OpenAiAudioEngine(context, OpenAiAudioSettings())
