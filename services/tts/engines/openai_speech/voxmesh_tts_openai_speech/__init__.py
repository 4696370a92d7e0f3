"""Speech synthesis by any server with OpenAI's speech endpoint."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts.engine import Engine
from voxmesh_tts_openai_speech.engine import OpenAiSpeechEngine
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet connected.

    Raises:
        FailedPrecondition: no server is configured.
    """
    return OpenAiSpeechEngine(context, OpenAiSpeechSettings())


__all__ = ["create"]
