"""The gRPC side of looking at pictures: files in, text and data out, whatever the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from voxmesh.vlm.v1 import vlm_pb2, vlm_pb2_grpc
from voxmesh_runtime.streams import AnyContext, StreamCall, Streams
from voxmesh_vlm.analysis import Analysis, Request, Response
from voxmesh_vlm.engine import Host
from voxmesh_vlm.looking import Looking
from voxmesh_vlm.options import TASKS, analysis_options
from voxmesh_vlm.schedule import Schedule
from voxmesh_vlm.settings import VlmSettings
from voxmesh_vlm.uploads import Uploads

InfoRequest = vlm_pb2.GetModelInfoRequest
InfoResponse = vlm_pb2.GetModelInfoResponse


class VlmService(vlm_pb2_grpc.VisionLanguageServiceServicer):
    """Serves one engine; see `voxmesh_runtime.server.Service`."""

    names = (vlm_pb2.DESCRIPTOR.services_by_name["VisionLanguageService"].full_name,)

    def __init__(self, host: Host, settings: VlmSettings) -> None:
        self.streams = Streams(settings)
        self._host = host
        self._settings = settings
        self._looking = Looking(host, settings.max_analyses, settings.max_pixels)

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        vlm_pb2_grpc.add_VisionLanguageServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Load and warm up the model."""
        await self._host.start()

    async def stop(self) -> None:
        """Free the model."""
        await self._host.stop()

    async def StreamingAnalyze(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Look at the pictures of one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            config = (await call.config()).config
            self._host.facts.require_model(config.model)
            await call.send(Response(ready=self._host.ready([])))
            schedule = Schedule(call, self._looking, self._settings.max_pending_analyses)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(schedule.run())
                await self._receive(call, schedule)

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the loaded model."""
        del request, context
        info = self._host.info
        return InfoResponse(
            model_info=self._host.model_info(self.streams),
            tasks=[number for number, task in TASKS.items() if task in info.tasks],
            structured_results=info.structured_results,
        )

    async def _receive(self, call: StreamCall[Request, Response], schedule: Schedule) -> None:
        """Gather pictures, and hand them over with each `analyze`."""
        uploads = Uploads(self._settings.max_pending_image_bytes)
        index = 0
        async for kind, request in call:
            match kind:
                case "image_chunk":
                    uploads.add(request.image_chunk)
                case "analyze":
                    options = analysis_options(request.analyze, self._host, self._settings.max_output_tokens)
                    analysis = Analysis(index, uploads.take(), options, request.analyze.trace_context)
                    schedule.put(analysis)
                    index += 1
                case _:
                    schedule.cancel()
        schedule.close()
