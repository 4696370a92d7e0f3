"""A collector of the spans that a mesh's processes export."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True, slots=True)
class ServiceSpan:
    """A span and the service that made it."""

    service: str
    span: trace_pb2.Span


@dataclass(slots=True)
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """A real OTLP endpoint that keeps what it gets."""

    spans: list[ServiceSpan] = field(default_factory=list[ServiceSpan])
    port: int = 0

    def Export(  # noqa: N802 # the name of the method in OTLP
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Take spans."""
        del context
        for resource in request.resource_spans:
            names = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.spans += [
                ServiceSpan(names["service.name"], span) for scope in resource.scope_spans for span in scope.spans
            ]
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, trace_id: str) -> list[ServiceSpan]:
        """The spans of one trace, by its id in hex."""
        return [found for found in self.spans if found.span.trace_id.hex() == trace_id]
