"""Embeddings by any server with OpenAI's embeddings endpoint."""

from __future__ import annotations

from voxmesh_embed.engine import EmbeddingEngine
from voxmesh_embed_openai_embeddings.engine import OpenAiEmbeddingsEngine
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_runtime.engine import EngineContext


def create(context: EngineContext) -> EmbeddingEngine:
    """The engine, not yet connected.

    Raises:
        FailedPrecondition: no server is configured.
    """
    return OpenAiEmbeddingsEngine(context, OpenAiEmbeddingsSettings())
