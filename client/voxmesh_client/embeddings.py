"""Text embeddings: texts in, unit vectors out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_client.endpoint import Endpoint, OnReady
from voxmesh_client.limits import batches, check
from voxmesh_client.stream import Stream

Request = embed_pb2.StreamingEmbedRequest
Response = embed_pb2.StreamingEmbedResponse
EmbeddingStream: TypeAlias = "Stream[Request, Response]"

MAX_TEXT_CHARACTERS = 100_000
"""Longest text that a service takes."""


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


async def _requests(texts: Sequence[str], kind: embed_pb2.TextBatch.Kind.ValueType) -> AsyncGenerator[Request]:
    for number, batch in enumerate(batches(texts)):
        yield Request(batch=embed_pb2.TextBatch(batch_id=number, texts=batch, kind=kind))
