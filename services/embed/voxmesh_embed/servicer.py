"""The gRPC side of embedding: batches of texts in, batches of vectors out, whatever the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_embed.batches import Batches, Request, Response
from voxmesh_embed.engine import Host, Text, Vector
from voxmesh_embed.options import embedding_options
from voxmesh_embed.scheduler import Scheduler
from voxmesh_embed.settings import EmbedSettings
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
        self._scheduler = Scheduler(self._step)
        self._stepping: list[asyncio.Task[None]] = []

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        embed_pb2_grpc.add_EmbeddingServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load and warm up the model."""
        await self._host.start()
        self._scheduler.max_batch_size = self._host.info.max_batch_size
        self._stepping = [asyncio.create_task(self._scheduler.run()) for _ in range(self._host.parallel)]

    async def stop(self) -> None:
        """Free the model."""
        for stepping in self._stepping:
            stepping.cancel()
        await self._host.stop()

    async def StreamingEmbed(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Embed the batches of one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            config = (await call.config()).config
            info = self._host.info
            options, outcomes = embedding_options(config, info)
            await call.send(Response(ready=self._host.ready(outcomes)))
            batches = Batches(call, self._scheduler, self._host, options, self._settings.max_pending_batches)
            async with asyncio.TaskGroup() as tasks:
                async for _, request in call:
                    await batches.take(request.batch, tasks)

    async def StreamingRerank(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: object, context: AnyContext
    ) -> None:
        """Refuse: the model embeds."""
        del request_iterator, context
        raise FailedPrecondition("model", self._host.facts.model, "the model served here embeds; it cannot rank")

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
            embeds=True,
        )

    async def _step(self, texts: Sequence[Text]) -> Completed[Sequence[Vector]]:
        async with self._host.using() as stepper:
            return await stepper.thread.timed(lambda: self._host.engine.embed(texts))
