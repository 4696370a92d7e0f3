"""Silero voice activity and Smart Turn end-of-turn detection."""

from __future__ import annotations

from voxmesh_runtime.engine import EngineContext
from voxmesh_turn.engine import Engine
from voxmesh_turn_silero_smart_turn.engine import SileroSmartTurn
from voxmesh_turn_silero_smart_turn.settings import SileroSmartTurnSettings


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as a source of one.
    """
    return SileroSmartTurn(context, SileroSmartTurnSettings())
