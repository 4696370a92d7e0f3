"""An embeddings server behind the engine does what every embedding engine must do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from voxmesh_embed_openai_embeddings.engine import OpenAiEmbeddingsEngine
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_embed_openai_embeddings.testing import EmbeddingsServer, embeddings_server
from voxmesh_embed_openai_embeddings.testing_minilm import MODEL, MiniLmServer
from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.embed import EmbedConformance

pytestmark = pytest.mark.engine


class TestOpenAiEmbeddings(EmbedConformance):
    """Every rule, with MiniLM behind a real HTTP server that takes 32 texts of 256 tokens."""

    engine = "openai_embeddings"
    server: ClassVar[EmbeddingsServer]
    least_batch_cosine = 0.99999

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        model = MiniLmServer(EngineContext.from_settings(cls().server_settings()).cache_dir)
        with embeddings_server(model.answer, [MODEL]) as cls.server:
            yield

    def create(self) -> OpenAiEmbeddingsEngine:
        # The server works on one request after another; what it was sent before goes before.
        settings = OpenAiEmbeddingsSettings(base_url=self.server.url, max_batch_tokens=256, max_concurrent_requests=2)
        return OpenAiEmbeddingsEngine(EngineContext(), settings)

    def test_the_server_is_described(self) -> None:
        self.loaded.load()
        info = self.loaded.info
        assert (info.facts.model, info.facts.device, info.dimensions) == ("all-MiniLM-L6-v2", "upstream", 384)
        assert (info.max_tokens, info.shorter_dimensions, info.facts.parallel) == (256, False, 2)
