"""Help for tests: a real server on a free port, a stream that is driven step by step, a collector of traces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.duplex import CallOver, DuplexCall
from voxmesh_runtime.server import RunningServer, Service, running
from voxmesh_runtime.settings import ServerSettings

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")

ANSWER_TIMEOUT_S = 60.0
"""Longest wait for any answer in a test, in seconds."""


@asynccontextmanager
async def serving(service: Service, settings: ServerSettings) -> AsyncGenerator[tuple[grpc.aio.Channel, RunningServer]]:
    """A server of `service` on a free port and a channel to it."""
    async with running(service, settings) as server, open_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel, server


class Exchange(Generic[Request, Response]):
    """One bidirectional call: send messages, then read until an answer of a kind comes."""

    def __init__(self, call: grpc.aio.StreamStreamCall[Request, Response]) -> None:
        self.call = call
        self._duplex = DuplexCall(call)
        self.seen: list[Response] = []

    async def send(self, *requests: Request) -> None:
        """Send messages in order; a stream that has ended tells so where its answers are read."""
        with suppress(CallOver):
            for request in requests:
                await self._duplex.write(request)

    async def half_close(self) -> None:
        """Say that no message follows."""
        await self._duplex.half_close()

    async def next(self) -> Response | None:
        """The next answer; None when the stream ended well.

        Raises:
            grpc.aio.AioRpcError: it ended badly.
        """
        try:
            response = await asyncio.wait_for(self._duplex.read(), ANSWER_TIMEOUT_S)
        except CallOver as over:
            if over.status is None:
                return None
            raise over.status from None
        if response is not None:
            self.seen.append(response)
        return response

    async def until(self, kind: str) -> Any:  # any message of the slot
        """Read up to the first answer whose field `kind` is set, and give that field."""
        while (response := await self.next()) is not None:
            if response.HasField(kind):  # pyright: ignore[reportAttributeAccessIssue] # every response is a message
                return getattr(response, kind)
        raise AssertionError(f"the stream ended before {kind}")

    async def rest(self) -> list[Response]:
        """Read to the end and give all answers of the stream."""
        while await self.next() is not None:
            pass
        return self.seen

    async def failure(self) -> grpc.aio.AioRpcError:
        """Read to the end, which must be an error, and give it."""
        try:
            await self.rest()
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError("the stream ended well")


class StreamMethod(Protocol[Request, Response]):
    """A stub's bidirectional method."""

    def __call__(self, *, timeout: float | None = None) -> grpc.aio.StreamStreamCall[Request, Response]:
        """Open a stream."""
        ...


@asynccontextmanager
async def exchange(
    method: StreamMethod[Request, Response], *requests: Request, timeout: float | None = None
) -> AsyncGenerator[Exchange[Request, Response]]:
    """Open a stream, send the first messages, and cancel it at the end of the block if it is still open."""
    call = method(timeout=timeout)
    stream = Exchange(call)
    try:
        await stream.send(*requests)
        yield stream
    finally:
        call.cancel()


def details(error: grpc.aio.AioRpcError) -> Iterable[Any]:
    """The google.rpc details of an error, unpacked."""
    import google.rpc.error_details_pb2 as known  # noqa: PLC0415 # only tests that look at details need it

    status: status_pb2.Status | None = rpc_status.from_call(error)  # pyright: ignore[reportArgumentType, reportAssignmentType] # an AioRpcError has what it reads
    for detail in status.details if status is not None else ():
        name = detail.TypeName().rsplit(".", 1)[-1]
        message = getattr(known, name)()
        detail.Unpack(message)
        yield message


async def wait_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait until `condition()` is true.

    Raises:
        AssertionError: it was not in time.
    """
    for _ in range(round(timeout_s / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not true within {timeout_s} s")


async def wait_for(condition: Callable[[], Awaitable[bool]], timeout_s: float = 10.0) -> None:
    """Ask until `condition()` gives true.

    Raises:
        AssertionError: it did not in time.
    """
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 # what is asked is no event
            await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """One span as a collector got it; ids are lower-case hexadecimal as in a traceparent."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the root of a trace."""
    attributes: dict[str, str | int | float | bool]


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: list[CollectedSpan] = []

    async def Export(  # noqa: N802 # the contract's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        del context
        for resource in request.resource_spans:
            service = str(_values(resource.resource.attributes).get("service.name", ""))
            for scope in resource.scope_spans:
                self.spans.extend(_collected(service, span) for span in scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    async def Export(  # noqa: N802 # the contract's name
        self, request: metrics_service_pb2.ExportMetricsServiceRequest, context: object
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        del request, context
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _collected(service: str, span: Any) -> CollectedSpan:  # opentelemetry.proto's Span
    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    return CollectedSpan(service, span.name, *ids, _values(span.attributes))


def _values(attributes: Iterable[Any]) -> dict[str, Any]:  # opentelemetry.proto's KeyValue
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


@asynccontextmanager
async def collector() -> AsyncGenerator[tuple[str, list[CollectedSpan]]]:
    """An OTLP collector: its endpoint for OTEL_EXPORTER_OTLP_ENDPOINT, and the list that its spans go to.

    Services send twice a second and when they stop; metrics are taken and dropped.
    """
    traces = _Traces()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(traces, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}", traces.spans
    finally:
        await server.stop(None)
