"""Moonshine speech recognition on CPU."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import Engine
from voxmesh_stt_moonshine.engine import MoonshineEngine
from voxmesh_stt_moonshine.settings import MoonshineSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not one that this engine can load.
    """
    return MoonshineEngine(context, MoonshineSettings())
