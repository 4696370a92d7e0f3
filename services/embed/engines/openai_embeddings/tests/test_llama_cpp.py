"""llama.cpp's own server behind the engine: a language model whose hidden states are averaged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from xllamacpp import CommonParams, Server, llama_pooling_type  # pyright: ignore[reportAttributeAccessIssue] # untyped

from voxmesh_embed.engine import Text
from voxmesh_embed_openai_embeddings.engine import OpenAiEmbeddingsEngine
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.models import SMOLLM2, ModelStore
from voxmesh_runtime.settings import ServerSettings

pytestmark = pytest.mark.engine

SENTENCES = ("The cat sleeps on the sofa.", "A kitten is napping on the couch.", "Revenue grew by ten percent.")


@pytest.fixture(scope="module")
def engine() -> Iterator[OpenAiEmbeddingsEngine]:
    """Before a server that takes 128 tokens a text, with one slot: with more, its vectors depend on one another."""
    params = CommonParams()
    params.model.path = str(ModelStore(ServerSettings().cache_dir).fetch(SMOLLM2))
    params.embedding = True
    params.pooling_type = llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.n_ctx, params.n_batch, params.n_ubatch = 1024, 128, 128
    params.n_parallel = params.cpuparams.n_threads = 1
    params.hostnames, params.port = ["127.0.0.1"], 0
    server = Server(params)
    engine = OpenAiEmbeddingsEngine(
        EngineContext(), OpenAiEmbeddingsSettings(base_url=f"{server.listening_address}/v1")
    )
    engine.load()
    yield engine
    engine.close()


def test_it_is_described(engine: OpenAiEmbeddingsEngine) -> None:
    assert (engine.info.dimensions, engine.info.shorter_dimensions) == (576, False)


def test_vectors_have_unit_length_and_do_not_depend_on_their_neighbours(engine: OpenAiEmbeddingsEngine) -> None:
    together = engine.embed([Text(sentence) for sentence in SENTENCES])
    for sentence, vector in zip(SENTENCES, together, strict=True):
        (alone,) = engine.embed([Text(sentence)])
        assert np.isclose(np.linalg.norm(vector.values), 1, atol=1e-4)
        assert alone.values @ vector.values > 0.999
        assert 0 < vector.token_count < 20
        assert not vector.truncated


def test_a_text_beyond_its_batch_is_cut_and_the_others_stay_whole(engine: OpenAiEmbeddingsEngine) -> None:
    short, long = engine.embed([Text("short"), Text("word " * 2000)])
    assert (short.truncated, long.truncated) == (False, True)
    assert 80 < long.token_count <= 128
