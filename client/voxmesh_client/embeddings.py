"""Text embeddings and ranking: texts in and unit vectors out, or a query and documents in and their order out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_client.endpoint import Endpoint, OnReady
from voxmesh_client.limits import batches, check
from voxmesh_client.stream import Stream

Request = embed_pb2.StreamingEmbedRequest
Response = embed_pb2.StreamingEmbedResponse
EmbeddingStream: TypeAlias = "Stream[Request, Response]"
RerankRequest = embed_pb2.StreamingRerankRequest
RerankResponse = embed_pb2.StreamingRerankResponse
RerankStream: TypeAlias = "Stream[RerankRequest, RerankResponse]"

MAX_TEXT_CHARACTERS = 100_000
"""Longest text that a service takes."""
MAX_QUERY_CHARACTERS = 10_000
"""Longest query of documents to rank."""


class Embeddings:
    """The embedding service."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stub = embed_pb2_grpc.EmbeddingServiceStub(endpoint.channel)

    async def info(self) -> embed_pb2.GetModelInfoResponse:
        """The served model."""
        return await self._endpoint.call(self._stub.GetModelInfo, embed_pb2.GetModelInfoRequest())

    def open(
        self, config: embed_pb2.EmbeddingConfig, timeout_s: float | None = None, on_ready: OnReady | None = None
    ) -> AbstractAsyncContextManager[EmbeddingStream]:
        """A stream for batches, for the time of a block."""
        return self._endpoint.stream(self._stub.StreamingEmbed, Request(config=config), timeout_s, on_ready)

    async def embed(
        self,
        texts: Sequence[str],
        config: embed_pb2.EmbeddingConfig | None = None,
        kind: embed_pb2.TextBatch.Kind.ValueType = embed_pb2.TextBatch.KIND_DOCUMENT,
        timeout_s: float | None = None,
        on_ready: OnReady | None = None,
    ) -> list[embed_pb2.Embedding]:
        """One embedding for each text, in order; any number of texts, each 1 to 100,000 characters.

        Raises:
            MeshError: a text is outside its limits, or the service refuses or fails.
        """
        for index, text in enumerate(texts):
            check(self._endpoint.slot.name, f"texts[{index}]", len(text), MAX_TEXT_CHARACTERS, least=1)
        answers: dict[int, Sequence[embed_pb2.Embedding]] = {}
        async with self.open(config or embed_pb2.EmbeddingConfig(), timeout_s, on_ready) as stream:
            async for answer, response in stream.exchange(_requests(texts, kind)):
                if answer == "batch":
                    answers[response.batch.batch_id] = response.batch.embeddings
        return [embedding for _, batch in sorted(answers.items()) for embedding in batch]

    def open_ranking(
        self, config: embed_pb2.RerankConfig, timeout_s: float | None = None, on_ready: OnReady | None = None
    ) -> AbstractAsyncContextManager[RerankStream]:
        """A stream for queries, for the time of a block."""
        first = RerankRequest(config=config)
        return self._endpoint.stream(self._stub.StreamingRerank, first, timeout_s, on_ready)

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        config: embed_pb2.RerankConfig | None = None,
        *,
        top_n: int | None = None,
        timeout_s: float | None = None,
        on_ready: OnReady | None = None,
    ) -> list[embed_pb2.RankedDocument]:
        """The documents from the best down, or the `top_n` best; any number of documents, each 1 to 100,000 characters.

        Raises:
            MeshError: a text is outside its limits, or the service refuses, as one does whose model embeds, or fails.
        """
        service = self._endpoint.slot.name
        check(service, "query", len(query), MAX_QUERY_CHARACTERS, least=1)
        for index, document in enumerate(documents):
            check(service, f"documents[{index}]", len(document), MAX_TEXT_CHARACTERS, least=1)
        found: list[embed_pb2.RankedDocument] = []
        starts: dict[int, int] = {}
        async with self.open_ranking(config or embed_pb2.RerankConfig(), timeout_s, on_ready) as stream:
            async for answer, response in stream.exchange(_queries(query, documents, top_n, starts)):
                if answer == "ranked":
                    found += _placed(response.ranked, starts[response.ranked.query_id])
        best = sorted(found, key=lambda document: (-document.score, document.document_index))
        return best[:top_n]


def vector_of(
    embedding: embed_pb2.Embedding,
    encoding: embed_pb2.EmbeddingConfig.Encoding.ValueType,
    dimensions: int | None = None,
) -> npt.NDArray[np.float32]:
    """The vector of any encoding at unit length, shape (dimensions,); of bits, each value is as far from 0 as another.

    Args:
        embedding: as it came.
        encoding: that was asked for.
        dimensions: of the vector, where the last byte of bits is not full.
    """
    match encoding:
        case embed_pb2.EmbeddingConfig.ENCODING_INT8:
            values = np.frombuffer(embedding.packed, np.int8).astype(np.float32)
        case embed_pb2.EmbeddingConfig.ENCODING_BINARY:
            bits = np.unpackbits(np.frombuffer(embedding.packed, np.uint8), count=dimensions)
            values = bits.astype(np.float32) * 2 - 1
        case _:
            values = np.array(embedding.values, np.float32)
    length = float(np.linalg.norm(values))
    return values / length if length else values


async def _queries(
    query: str, documents: Sequence[str], top_n: int | None, starts: dict[int, int]
) -> AsyncGenerator[RerankRequest]:
    """The documents in as many queries as they need; `starts` gets the place of each one's first."""
    start = 0
    for number, batch in enumerate(batches(documents)):
        starts[number] = start
        start += len(batch)
        asked = embed_pb2.RerankQuery(query_id=number, query=query, documents=batch, top_n=top_n)
        yield RerankRequest(query=asked)


def _placed(ranked: embed_pb2.RankedDocuments, start: int) -> list[embed_pb2.RankedDocument]:
    """Documents with their places among all of them."""
    for document in ranked.documents:
        document.document_index += start
    return list(ranked.documents)


async def _requests(texts: Sequence[str], kind: embed_pb2.TextBatch.Kind.ValueType) -> AsyncGenerator[Request]:
    for number, batch in enumerate(batches(texts)):
        yield Request(batch=embed_pb2.TextBatch(batch_id=number, texts=batch, kind=kind))
