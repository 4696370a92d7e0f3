"""Qwen3-Embedding, on GPU or CPU."""

from __future__ import annotations

from voxmesh_embed.engine import EmbeddingEngine
from voxmesh_embed_qwen_embedding.engine import QwenEmbeddingEngine
from voxmesh_embed_qwen_embedding.settings import QwenEmbeddingSettings
from voxmesh_runtime.engine import EngineContext


def create(context: EngineContext) -> EmbeddingEngine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as the source of one.
    """
    return QwenEmbeddingEngine(context, QwenEmbeddingSettings())
