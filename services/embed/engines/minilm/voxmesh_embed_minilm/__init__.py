"""MiniLM sentence embeddings on CPU."""

from __future__ import annotations

from voxmesh_embed.engine import Engine
from voxmesh_embed_minilm.engine import MiniLm
from voxmesh_runtime.engine import EngineContext


def create(context: EngineContext) -> Engine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as a source of a folder.
    """
    return MiniLm(context)
