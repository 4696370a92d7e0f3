"""IndicF5 speech synthesis: eleven Indian languages in the voice of a recording."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_tts_indic_f5.engine import IndicF5Engine
from voxmesh_tts_indic_f5.settings import IndicF5Settings


def create(context: EngineContext) -> IndicF5Engine:
    """The engine, not yet loaded; see `voxmesh_tts.engine.Engine`.

    Raises:
        FailedPrecondition: the operator's model is not written as the source of one.
    """
    return IndicF5Engine(context, IndicF5Settings())


__all__ = ["create"]
