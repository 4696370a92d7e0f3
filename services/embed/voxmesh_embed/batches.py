"""One stream's batches: several wait for the model at once, each is answered when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from voxmesh.embed.v1 import embed_pb2
from voxmesh_embed.engine import Host, Text, Vector
from voxmesh_embed.options import EmbeddingOptions, texts_of
from voxmesh_embed.scheduler import Lane, Scheduler
from voxmesh_runtime import names
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.streams import StreamCall
from voxmesh_runtime.telemetry import work_span

Request = embed_pb2.StreamingEmbedRequest
Response = embed_pb2.StreamingEmbedResponse


class Batches:
    """Takes a stream's batches, at most `max_pending` at once."""

    def __init__(
        self,
        call: StreamCall[Request, Response],
        scheduler: Scheduler,
        host: Host,
        options: EmbeddingOptions,
        max_pending: int,
    ) -> None:
        self._call = call
        self._scheduler = scheduler
        self._host = host
        self._options = options
        self._lane = Lane()
        self._free = asyncio.Semaphore(max_pending)
        self._unanswered: set[int] = set()

    async def take(self, batch: embed_pb2.TextBatch, tasks: asyncio.TaskGroup) -> None:
        """Start a batch; waits while `max_pending` are not answered, which holds the client back.

        Raises:
            InvalidArgument: the batch breaks the contract.
        """
        clock = WorkClock.start()
        texts = texts_of(batch, self._options)
        if batch.batch_id in self._unanswered:
            raise InvalidArgument("batch.batch_id", f"{batch.batch_id} is of a batch that is not yet answered")
        self._unanswered.add(batch.batch_id)
        await self._free.acquire()
        tasks.create_task(self._answer(batch, texts, clock))

    async def _answer(self, batch: embed_pb2.TextBatch, texts: Sequence[Text], clock: WorkClock) -> None:
        try:
            vectors = await self._embed(batch, texts, clock)
            answer = embed_pb2.EmbeddingBatch(
                batch_id=batch.batch_id,
                embeddings=map(self._embedding, vectors),
                timing=clock.to_proto(is_output=True),
            )
            # Whoever has the answer may use the id again at once.
            self._unanswered.discard(batch.batch_id)
            await self._call.send(Response(batch=answer))
        finally:
            self._free.release()

    async def _embed(self, batch: embed_pb2.TextBatch, texts: Sequence[Text], clock: WorkClock) -> Sequence[Vector]:
        attributes = {**self._host.span_attributes, names.GEN_AI_OPERATION: "embeddings"}
        with work_span(names.SPAN_EMBED, batch.trace_context, clock, attributes) as span:
            vectors = await self._scheduler.embed(self._lane, texts, clock)
            span.set_attribute(names.GEN_AI_INPUT_TOKENS, sum(vector.token_count for vector in vectors))
        return vectors

    def _embedding(self, vector: Vector) -> embed_pb2.Embedding:
        return embed_pb2.Embedding(
            values=self._options.fit(vector.values), token_count=vector.token_count, truncated=vector.truncated
        )
