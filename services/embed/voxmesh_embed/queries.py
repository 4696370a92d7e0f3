"""One stream's queries: checked, their documents scored, and sent from the best down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from voxmesh.embed.v1 import embed_pb2
from voxmesh_embed.engine import Host, Pair, Score
from voxmesh_embed.pending import Pending
from voxmesh_embed.ranking_options import RankingOptions, pairs_of
from voxmesh_embed.scheduler import Lane, Scheduler
from voxmesh_runtime import names
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.streams import StreamCall
from voxmesh_runtime.telemetry import work_span

Request = embed_pb2.StreamingRerankRequest
Response = embed_pb2.StreamingRerankResponse


class Queries:
    """Takes a stream's queries, at most `max_pending` at once."""

    def __init__(
        self,
        call: StreamCall[Request, Response],
        scheduler: Scheduler[Pair, Score],
        host: Host,
        options: RankingOptions,
        max_pending: int,
    ) -> None:
        self._call = call
        self._scheduler = scheduler
        self._host = host
        self._options = options
        self._lane = Lane[Pair, Score]()
        self._pending = Pending("query.query_id", max_pending)

    async def take(self, query: embed_pb2.RerankQuery, tasks: asyncio.TaskGroup) -> None:
        """Start a query; waits while `max_pending` are not answered, which holds the client back.

        Raises:
            InvalidArgument: the query breaks the contract.
        """
        clock = WorkClock.start()
        pairs = pairs_of(query, self._options)
        await self._pending.add(query.query_id)
        tasks.create_task(self._answer(query, pairs, clock))

    async def _answer(self, query: embed_pb2.RerankQuery, pairs: Sequence[Pair], clock: WorkClock) -> None:
        with self._pending.answering():
            scores = await self._score(query, pairs, clock)
            top_n = query.top_n if query.HasField("top_n") else len(scores)
            answer = embed_pb2.RankedDocuments(
                query_id=query.query_id,
                documents=ranked(scores)[:top_n],
                timing=clock.to_proto(is_output=True),
            )
            self._pending.answered(query.query_id)
            await self._call.send(Response(ranked=answer))

    async def _score(self, query: embed_pb2.RerankQuery, pairs: Sequence[Pair], clock: WorkClock) -> Sequence[Score]:
        attributes = {**self._host.span_attributes, names.GEN_AI_OPERATION: "rerank"}
        with work_span(names.SPAN_EMBED, query.trace_context, clock, attributes) as span:
            scores = await self._scheduler.work(self._lane, pairs, clock)
            span.set_attribute(names.GEN_AI_INPUT_TOKENS, sum(score.token_count for score in scores))
        return scores


def ranked(scores: Sequence[Score]) -> list[embed_pb2.RankedDocument]:
    """The documents from the best down; those of the same score in the caller's order."""
    places = sorted(range(len(scores)), key=lambda place: -scores[place].value)
    return [
        embed_pb2.RankedDocument(
            document_index=place,
            score=scores[place].value,
            token_count=scores[place].token_count,
            truncated=scores[place].truncated,
        )
        for place in places
    ]
