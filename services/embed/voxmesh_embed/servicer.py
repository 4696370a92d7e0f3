"""The gRPC side of embedding: batches of texts in, batches of vectors out, whatever the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_embed.batches import Batches, Request, Response
from voxmesh_embed.engine import Engine, Text, Vector
from voxmesh_embed.options import embedding_options
from voxmesh_embed.scheduler import EmbedWorker, Scheduler
from voxmesh_embed.settings import EmbedSettings
from voxmesh_runtime.outcomes import ready
from voxmesh_runtime.streams import AnyContext, Streams

InfoRequest = embed_pb2.GetModelInfoRequest
InfoResponse = embed_pb2.GetModelInfoResponse


class EmbedService(embed_pb2_grpc.EmbeddingServiceServicer):
    """Serves one engine; see `voxmesh_runtime.server.Service`."""

    names = (embed_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name,)

    def __init__(self, engine: Engine, settings: EmbedSettings) -> None:
        self.streams = Streams(settings)
        self._engine = engine
        self._settings = settings
        # One item is one whole step, which the scheduler has filled.
        self._worker = EmbedWorker(self._step, name="embed")
        self._scheduler = Scheduler(self._worker)
        self._stepping: asyncio.Task[None] | None = None

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        embed_pb2_grpc.add_EmbeddingServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load and warm up the model on its worker."""
        await self._worker.load(self._engine)
        self._scheduler.max_batch_size = self._engine.info.max_batch_size
        self._stepping = asyncio.create_task(self._scheduler.run())

    async def stop(self) -> None:
        """Free the model."""
        if self._stepping is not None:
            self._stepping.cancel()
        await self._worker.free(self._engine)

    async def StreamingEmbed(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Embed the batches of one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            config = (await call.config()).config
            info = self._engine.info
            options, outcomes = embedding_options(config, info)
            message = ready(info.facts.model, info.facts.engine, self._settings.host_name, outcomes)
            await call.send(Response(ready=message))
            batches = Batches(call, self._scheduler, info, options, self._settings.max_pending_batches)
            async with asyncio.TaskGroup() as tasks:
                async for _, request in call:
                    await batches.take(request.batch, tasks)

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the loaded model."""
        del request, context
        info = self._engine.info
        return InfoResponse(
            model_info=info.facts.to_proto(self.streams),
            dimensions=info.dimensions,
            shorter_dimensions=info.shorter_dimensions,
            max_tokens=info.max_tokens,
            instruction=info.instruction,
        )

    def _step(self, steps: Sequence[Sequence[Text]]) -> list[Sequence[Vector]]:
        return [self._engine.embed(texts) for texts in steps]
