"""Documents are ranked by a real service, whose engine counts the query's letters."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from voxmesh.embed.v1 import embed_pb2
from voxmesh_client.embeddings import vector_of
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_embed.engine import EngineInfo, Pair, Score
from voxmesh_embed.servicer import EmbedService
from voxmesh_embed.settings import EmbedSettings
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.server import running
from voxmesh_testing.engines import hosting

pytestmark = pytest.mark.unit

Config = embed_pb2.EmbeddingConfig


class Letters:
    """Scores a document by how many of its letters are the query's."""

    info = EngineInfo(ModelFacts("letters", "Apache-2.0"), max_tokens=1000, ranks=True)

    def load(self) -> None:
        """There is nothing to load."""

    def warm_up(self) -> None:
        """There is nothing to warm up."""

    def close(self) -> None:
        """There is nothing to free."""

    def score(self, pairs: Sequence[Pair]) -> list[Score]:
        """The share of the document's letters."""
        return [Score(sum(map(pair.query.count, pair.document)) / len(pair.document), 1) for pair in pairs]


@asynccontextmanager
async def ranking() -> AsyncGenerator[tuple[Mesh, str]]:
    """A mesh whose embedding service ranks, and its target."""
    settings = EmbedSettings()
    async with running(EmbedService(hosting("embed", Letters(), settings), settings), settings) as server:
        target = f"127.0.0.1:{server.port}"
        async with Mesh(MeshSettings(embed_target=target)) as mesh:
            yield mesh, target


async def test_documents_come_from_the_best_down() -> None:
    async with ranking() as (mesh, _):
        found = await mesh.embeddings.rerank("x", ["axx", "xxx", "a", "ax"])
    assert [document.document_index for document in found] == [1, 0, 3, 2]


@pytest.mark.parametrize("top_n", [1, 10, 1000])
async def test_any_number_of_documents_is_ranked_as_one(top_n: int) -> None:
    documents = ["a" * (500 - number) + "x" * number for number in range(500)]
    async with ranking() as (mesh, _):
        found = await mesh.embeddings.rerank("x", documents, top_n=top_n)
    best = list(reversed(range(500)))[:top_n]
    assert [document.document_index for document in found] == best


async def test_the_verb_shows_the_best_first() -> None:
    async with ranking() as (_, target):
        arguments = [sys.executable, "-m", "voxmesh_client", "rerank", "x", "ax [b]", "xx", "a", "--target", target]
        table, lines = [await output(*arguments, "--top", "2"), await output(*arguments, "--json")]
    assert table.index("xx") < table.index("ax [b]")
    assert [json.loads(line)["index"] for line in lines.splitlines()] == [1, 0, 2]


async def output(*arguments: str) -> str:
    """What a program prints."""
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


@pytest.mark.parametrize(
    ("embedding", "encoding", "vector"),
    [
        (embed_pb2.Embedding(values=[3, 4]), Config.ENCODING_FLOAT, [0.6, 0.8]),
        (embed_pb2.Embedding(packed=bytes([127, 0x81])), Config.ENCODING_INT8, [0.5**0.5, -(0.5**0.5)]),
        (embed_pb2.Embedding(packed=bytes([0b10000000])), Config.ENCODING_BINARY, [0.5, -0.5, -0.5, -0.5]),
        (embed_pb2.Embedding(packed=bytes(2)), Config.ENCODING_INT8, [0, 0]),
    ],
)
def test_vectors_of_any_encoding_have_unit_length(
    embedding: embed_pb2.Embedding, encoding: Config.Encoding.ValueType, vector: list[float]
) -> None:
    assert np.allclose(vector_of(embedding, encoding, len(vector)), vector)
