"""Fixtures of the engine's tests: a scripted server, and the engine before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from voxmesh_embed_openai_embeddings.engine import OpenAiEmbeddingsEngine
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_embed_openai_embeddings.testing import EmbeddingsServer, embeddings_server
from voxmesh_runtime.engine import EngineContext

Connect = Callable[..., OpenAiEmbeddingsEngine]


@pytest.fixture
def server() -> Iterator[EmbeddingsServer]:
    """Gives vectors of 8 values by the texts' letters until it is told otherwise."""
    with embeddings_server() as running:
        yield running


@pytest.fixture
def connect(server: EmbeddingsServer) -> Iterator[Connect]:
    """Gives loaded engines before the server; they are closed at the end."""
    engines: list[OpenAiEmbeddingsEngine] = []

    def connected(model: str | None = None, **changes: Any) -> OpenAiEmbeddingsEngine:
        values: dict[str, Any] = {"base_url": server.url, "start_timeout_s": 0, "retry_max_wait_s": 0.2, **changes}
        engine = OpenAiEmbeddingsEngine(EngineContext(model=model), OpenAiEmbeddingsSettings(**values))
        engine.load()
        engines.append(engine)
        return engine

    yield connected
    for engine in engines:
        engine.close()
