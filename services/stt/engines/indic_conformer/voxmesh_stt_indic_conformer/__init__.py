"""IndicConformer speech recognition of 22 Indian languages."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import Engine
from voxmesh_stt_indic_conformer.engine import IndicConformerEngine
from voxmesh_stt_indic_conformer.settings import IndicConformerSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's default language is none of the model's.
    """
    return IndicConformerEngine(context, IndicConformerSettings())
