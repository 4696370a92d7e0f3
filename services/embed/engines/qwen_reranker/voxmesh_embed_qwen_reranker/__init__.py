"""Qwen3-Reranker, on GPU or CPU."""

from __future__ import annotations

from voxmesh_embed.engine import RankingEngine
from voxmesh_embed_qwen_reranker.engine import QwenRerankerEngine
from voxmesh_embed_qwen_reranker.settings import QwenRerankerSettings
from voxmesh_runtime.engine import EngineContext


def create(context: EngineContext) -> RankingEngine:
    """The engine, not yet loaded.

    Raises:
        FailedPrecondition: the operator's model is not written as the source of one.
    """
    return QwenRerankerEngine(context, QwenRerankerSettings())
