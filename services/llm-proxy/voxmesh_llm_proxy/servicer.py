"""The gRPC side of text generation: conversations in, text and tool calls out, whatever the upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version

import grpc

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.answer import Response
from voxmesh_llm_proxy.catalog import Catalog
from voxmesh_llm_proxy.endpoint import Endpoint
from voxmesh_llm_proxy.generation import Generation
from voxmesh_llm_proxy.messages import GenerationOptions, request_body
from voxmesh_llm_proxy.options import outcomes, stream_options
from voxmesh_llm_proxy.schedule import Schedule
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.upstream import Upstream
from voxmesh_llm_proxy.validation import check_generate
from voxmesh_llm_proxy.warm_up import warm_up
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.errors import Unimplemented
from voxmesh_runtime.host import model_info
from voxmesh_runtime.outcomes import ready
from voxmesh_runtime.streams import AnyContext, StreamCall, Streams

Request = llm_pb2.StreamingGenerateRequest
InfoRequest = llm_pb2.GetModelInfoRequest
InfoResponse = llm_pb2.GetModelInfoResponse

LOST = "the upstream is being restarted; health turns SERVING when it is back"


class LlmService(llm_pb2_grpc.LanguageModelServiceServicer):
    """Serves one upstream; see `voxmesh_runtime.server.Service`."""

    names = (llm_pb2.DESCRIPTOR.services_by_name["LanguageModelService"].full_name,)

    def __init__(self, endpoint: Endpoint, settings: LlmSettings) -> None:
        self.streams = Streams(settings)
        self._settings = settings
        self._upstream = Upstream(endpoint, settings)
        self._catalog = Catalog(self._upstream, settings.upstream_model)
        endpoint.watch(lambda: self.streams.lost(LOST), self.streams.found)

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        llm_pb2_grpc.add_LanguageModelServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Reach the upstream, or start it, and warm it up."""
        await self._upstream.endpoint.start()
        await warm_up(self._upstream, self._catalog, self._settings)

    async def stop(self) -> None:
        """Close all connections, and end the upstream if it is ours."""
        await self._upstream.close()

    async def StreamingGenerate(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Answer the generations of one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            config = (await call.config()).config
            options = await stream_options(config, self._catalog, self._settings)
            await self._acknowledge(call, config, options)
            schedule = Schedule(lambda request: self._upstream.prefill(request_body(request, options), call))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(schedule.run(call.send))
                await self._receive(call, schedule, options)

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the upstream's model."""
        del request, context
        endpoint = self._upstream.endpoint
        facts = ModelFacts(
            model=self._catalog.default,
            license=endpoint.license,
            device=endpoint.device,
        )
        return InfoResponse(
            model_info=model_info(
                facts, self.streams, engine=endpoint.engine, engine_version=version("voxmesh-llm-proxy")
            ),
            models=self._catalog.names,
            context_tokens=self._catalog.context_tokens,
            tool_calls=self._settings.upstream_tools,
            images=self._settings.upstream_images,
        )

    async def _acknowledge(
        self, call: StreamCall[Request, Response], config: llm_pb2.GenerationConfig, options: GenerationOptions
    ) -> None:
        taken = outcomes(config, self._upstream, self._settings)
        host = self._settings.host_name
        await call.send(Response(ready=ready(options.model, self._upstream.endpoint.engine, host, taken)))

    async def _receive(
        self, call: StreamCall[Request, Response], schedule: Schedule, options: GenerationOptions
    ) -> None:
        """Move the caller's messages to the schedule; at half-close those that wait are still answered."""
        index = 0
        async for kind, request in call:
            if kind == "cancel":
                schedule.cancel()
                continue
            wanted: llm_pb2.Generate = getattr(request, kind)
            check_generate(wanted, kind)
            self._check_abilities(kind, wanted)
            if kind == "prefill":
                schedule.prefill(wanted)
                continue
            schedule.add(Generation(index, request.generate, options, self._upstream, owner=call))
            index += 1
        schedule.close()

    def _check_abilities(self, name: str, generate: llm_pb2.Generate) -> None:
        if generate.tools and not self._settings.upstream_tools:
            raise Unimplemented("tools", f"the upstream's model takes no tools; remove {name}.tools")
        if any(message.images for message in generate.messages) and not self._settings.upstream_images:
            problem = "the upstream's model sees no images; ask a vlm service (VisionLanguageService)"
            raise Unimplemented("images", problem, ["vlm"])
