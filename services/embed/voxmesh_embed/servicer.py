"""The gRPC side: batches of texts in and vectors out, or queries in and ranked documents out, whatever the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_embed import batches, queries
from voxmesh_embed.engine import RANKING_ENGINES, EngineInfo, Host
from voxmesh_embed.options import embedding_options
from voxmesh_embed.ranking_options import ranking_options
from voxmesh_embed.scheduler import Scheduler
from voxmesh_embed.settings import EmbedSettings
from voxmesh_runtime.batcher import SomeFailed
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.streams import AnyContext, Streams
from voxmesh_runtime.thread import Completed

InfoRequest = embed_pb2.GetModelInfoRequest
InfoResponse = embed_pb2.GetModelInfoResponse


class EmbedService(embed_pb2_grpc.EmbeddingServiceServicer):
    """Serves one engine; see `voxmesh_runtime.server.Service`."""

    names = (embed_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name,)

    def __init__(self, host: Host, settings: EmbedSettings) -> None:
        self.streams = Streams(settings)
        self._host = host
        self._settings = settings
        self._scheduler = Scheduler[Any, Any](self._step, self._interrupt)
        self._stepping: asyncio.Task[None] | None = None

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        embed_pb2_grpc.add_EmbeddingServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load and warm up the model."""
        await self._host.start()
        self._scheduler.fit(self._host.info, self._host.parallel)
        self._stepping = asyncio.create_task(self._scheduler.run())

    async def stop(self) -> None:
        """Free the model."""
        if self._stepping is not None:
            self._stepping.cancel()
        await self._host.stop()

    async def StreamingEmbed(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[batches.Request], context: AnyContext
    ) -> None:
        """Embed the batches of one stream."""
        async with self.streams.open(request_iterator, context, batches.Response) as call:
            config = (await call.config()).config
            info = self._info(ranks=False)
            options, outcomes = embedding_options(config, info)
            await call.send(batches.Response(ready=self._host.ready(outcomes)))
            taken = batches.Batches(call, self._scheduler, self._host, options, self._settings.max_pending_batches)
            async with asyncio.TaskGroup() as tasks:
                async for _, request in call:
                    await taken.take(request.batch, tasks)

    async def StreamingRerank(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[queries.Request], context: AnyContext
    ) -> None:
        """Rank the documents of one stream."""
        async with self.streams.open(request_iterator, context, queries.Response) as call:
            config = (await call.config()).config
            info = self._info(ranks=True)
            options, outcomes = ranking_options(config, info)
            await call.send(queries.Response(ready=self._host.ready(outcomes)))
            taken = queries.Queries(call, self._scheduler, self._host, options, self._settings.max_pending_batches)
            async with asyncio.TaskGroup() as tasks:
                async for _, request in call:
                    await taken.take(request.query, tasks)

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the loaded model."""
        del request, context
        info = self._host.info
        return InfoResponse(
            model_info=self._host.model_info(self.streams),
            dimensions=info.dimensions,
            shorter_dimensions=info.shorter_dimensions,
            max_tokens=info.max_tokens,
            instruction=info.instruction,
            embeds=not info.ranks,
            reranks=info.ranks,
        )

    def _info(self, *, ranks: bool) -> EngineInfo:
        """What the model is, if it does what is asked.

        Raises:
            FailedPrecondition: it does the other thing.
        """
        info = self._host.info
        if info.ranks == ranks:
            return info
        others = f"one of {' and '.join(RANKING_ENGINES)}" if ranks else "any other"
        does, not_does = ("embeds", "rank") if ranks else ("ranks", "embed")
        problem = f"the model of this service {does} and does not {not_does}; ask a service whose engine is {others}"
        raise FailedPrecondition("engine", self._host.name, problem)

    async def _step(self, items: Sequence[Any]) -> Completed[Sequence[Any]]:
        async with self._host.using() as stepper:
            engine = self._host.engine
            run = engine.score if self._host.info.ranks else engine.embed
            return await stepper.thread.timed(lambda: _results(run, items))

    def _interrupt(self, items: Sequence[Any]) -> None:
        interrupt = getattr(self._host.engine, "interrupt", None)
        if interrupt is not None:
            interrupt(items)


def _results(run: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> Sequence[Any]:
    try:
        return run(items)
    except SomeFailed as failed:
        return failed.results
