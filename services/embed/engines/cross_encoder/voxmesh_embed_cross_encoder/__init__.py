"""Cross-encoders on CPU."""

from __future__ import annotations

from voxmesh_embed.engine import RankingEngine
from voxmesh_embed_cross_encoder.engine import CrossEncoder
from voxmesh_embed_cross_encoder.settings import CrossEncoderSettings
from voxmesh_runtime.engine import EngineContext


def create(context: EngineContext) -> RankingEngine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as the source of one.
    """
    return CrossEncoder(context, CrossEncoderSettings())
