"""The gRPC side of text generation: conversations in, text and tool calls out, whatever the upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import version

import grpc

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.answer import Response
from voxmesh_llm_proxy.budgets import Budget, CallerBudgets
from voxmesh_llm_proxy.circuit import State
from voxmesh_llm_proxy.endpoint import Endpoint
from voxmesh_llm_proxy.generation import Conversation, Generation
from voxmesh_llm_proxy.options import outcomes, stream_options
from voxmesh_llm_proxy.pool import Pool
from voxmesh_llm_proxy.presets import PRESET_NAMES
from voxmesh_llm_proxy.schedule import Schedule
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.upstream import Upstream
from voxmesh_llm_proxy.upstream_file import EVERYBODY, RateLimits
from voxmesh_llm_proxy.validation import check_generate
from voxmesh_runtime.clock import SYSTEM_CLOCK
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.host import model_info
from voxmesh_runtime.outcomes import ready
from voxmesh_runtime.streams import AnyContext, StreamCall, Streams

Request = llm_pb2.StreamingGenerateRequest
InfoRequest = llm_pb2.GetModelInfoRequest
InfoResponse = llm_pb2.GetModelInfoResponse

LOST = "the upstream is being restarted; health turns SERVING when it is back"
NONE_LEFT = "no upstream answers; health turns SERVING when one does"
CALLER_HEADER = "voxmesh-caller"
"""Metadata in which a caller names itself, for its budget."""

_STATES = {
    State.CLOSED: llm_pb2.Upstream.STATE_WELL,
    State.HALF_OPEN: llm_pb2.Upstream.STATE_ON_TRIAL,
    State.OPEN: llm_pb2.Upstream.STATE_LEFT,
}


class LlmService(llm_pb2_grpc.LanguageModelServiceServicer):
    """Serves upstreams; see `voxmesh_runtime.server.Service`.

    Args:
        upstreams: the one that the settings describe, or named ones in order.
        settings: of the service.
        callers: budgets by name.
    """

    names = (llm_pb2.DESCRIPTOR.services_by_name["LanguageModelService"].full_name,)

    def __init__(
        self, upstreams: Endpoint | Pool, settings: LlmSettings, callers: Mapping[str, RateLimits] | None = None
    ) -> None:
        self.streams = Streams(settings)
        self._settings = settings
        self._pool = upstreams if isinstance(upstreams, Pool) else Pool([Upstream(upstreams, settings)], settings)
        everybody = RateLimits(
            requests_per_minute=settings.caller_requests_per_minute,
            tokens_per_minute=settings.caller_tokens_per_minute,
        )
        self._callers = CallerBudgets({EVERYBODY: everybody, **(callers or {})}, SYSTEM_CLOCK.now)
        lost = LOST if len(self._pool.upstreams) == 1 else NONE_LEFT
        self._pool.watch(lambda: self.streams.lost(lost), self.streams.found)

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer."""
        llm_pb2_grpc.add_LanguageModelServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Reach an upstream, or start it, and warm it up."""
        await self._pool.start()

    async def stop(self) -> None:
        """Close all connections, and end the upstream that is ours."""
        await self._pool.close()

    async def StreamingGenerate(  # pyright: ignore[reportIncompatibleMethodOverride] # grpc.aio takes coroutines too
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Answer the generations of one stream."""
        async with self.streams.open(request_iterator, context, Response) as call:
            options = await stream_options((await call.config()).config, self._pool, self._settings)
            stream = Conversation(self._pool, options, self._budget(context), call, self._settings.idle_timeout_s)
            await self._acknowledge(call, stream)
            schedule = Schedule(lambda request: self._pool.prefill(stream.wanted(request), call))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(schedule.run(call.send))
                await self._receive(call, schedule, stream)

    async def GetModelInfo(self, request: InfoRequest, context: AnyContext) -> InfoResponse:
        """Describe the upstreams; what is told of one is told of the first."""
        del request, context
        first, upstreams = self._pool.first, self._pool.upstreams
        endpoint = first.endpoint
        facts = ModelFacts(model=first.catalog.default, license=endpoint.license, device=endpoint.device)
        names = dict.fromkeys(name for upstream in upstreams for name in upstream.catalog.names)
        return InfoResponse(
            model_info=model_info(
                facts, self.streams, engine=endpoint.engine, engine_version=version("voxmesh-llm-proxy")
            ),
            models=names,
            context_tokens=first.context_tokens,
            tool_calls=any(upstream.named.tools for upstream in upstreams),
            images=any(upstream.named.images for upstream in upstreams),
            upstreams=[_told(upstream) for upstream in upstreams],
            sampling_presets=PRESET_NAMES,
        )

    async def _acknowledge(self, call: StreamCall[Request, Response], stream: Conversation) -> None:
        first = self._pool.candidates(stream.options)[0]
        taken = outcomes(stream.options, self._pool, first, self._settings)
        model = first.catalog.model(stream.options.config.model)
        await call.send(Response(ready=ready(model, first.endpoint.engine, self._settings.host_name, taken)))

    async def _receive(self, call: StreamCall[Request, Response], schedule: Schedule, stream: Conversation) -> None:
        """Move the caller's messages to the schedule; at half-close those that wait are still answered."""
        index = 0
        async for kind, request in call:
            if kind == "cancel":
                schedule.cancel()
                continue
            wanted: llm_pb2.Generate = getattr(request, kind)
            check_generate(wanted, kind)
            self._pool.check_abilities(kind, wanted)
            if kind == "prefill":
                schedule.prefill(wanted)
                continue
            schedule.add(Generation(index, request.generate, stream))
            index += 1
        schedule.close()

    def _budget(self, context: AnyContext) -> Budget:
        metadata = dict(context.invocation_metadata() or ())
        host = context.peer().rpartition(":")[0]
        return self._callers.of(str(metadata.get(CALLER_HEADER, "")), host)


def _told(upstream: Upstream) -> llm_pb2.Upstream:
    named, circuit = upstream.named, upstream.circuit
    return llm_pb2.Upstream(
        name=upstream.name,
        shape=named.shape.value,
        purposes=named.purposes,
        models=upstream.catalog.names,
        context_tokens=upstream.context_tokens,
        state=_STATES[circuit.state] if upstream.is_up else llm_pb2.Upstream.STATE_LEFT,
        problem=circuit.problem if upstream.is_up else LOST,
        active_generations=upstream.active_count,
        max_generations=upstream.endpoint.concurrency,
        tool_calls=named.tools,
        images=named.images,
    )
