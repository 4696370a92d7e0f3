"""NeMo speech recognition: cache-aware streaming transducers with phrase boosting."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import Engine
from voxmesh_stt_nemotron.engine import NemotronEngine
from voxmesh_stt_nemotron.settings import NemotronSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is a path that holds no `.nemo` file.
        InvalidSourceError: the operator's model is no source of a model.
    """
    return NemotronEngine(context, NemotronSettings())
