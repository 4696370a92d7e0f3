"""Traces and metrics by OpenTelemetry: exported by OTLP when an endpoint is set, else nothing is needed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime import names
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.exporting import Collector

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("voxmesh")
_meter = metrics.get_meter("voxmesh")
_compute = _meter.create_histogram(names.METRIC_COMPUTE, "s", "Time a model worked on one unit")
_queue = _meter.create_histogram(names.METRIC_QUEUE, "s", "Time one unit waited for the model")


def configure(service: str, host_name: str, endpoint: str | None) -> Callable[[], None]:
    """Send this process's spans and metrics to an OTLP endpoint; returns what flushes them at the end.

    Without an endpoint spans still get ids, so that a turn can name its trace.
    """
    resource = Resource.create({"service.name": service, "service.namespace": "voxmesh", "host.name": host_name})
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    trace.set_tracer_provider(tracers)
    if endpoint is None:
        return tracers.shutdown
    collector = Collector(endpoint)
    tracers.add_span_processor(collector.span_processor())
    meters = MeterProvider(metric_readers=[collector.metric_reader()], resource=resource, shutdown_on_exit=False)
    metrics.set_meter_provider(meters)
    return lambda: collector.flush(tracers.shutdown, meters.shutdown)


def parent_context(parent: common_pb2.TraceContext | None) -> Context | None:
    """The context that a message carries; None when it carries none that is valid."""
    if parent is None or not parent.traceparent:
        return None
    return _propagator.extract({"traceparent": parent.traceparent, "tracestate": parent.tracestate}, Context())


def trace_context(span: Span) -> common_pb2.TraceContext:
    """The context that makes `span` the parent of another process's work."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span, Context()))
    return common_pb2.TraceContext(traceparent=carrier.get("traceparent", ""), tracestate=carrier.get("tracestate", ""))


def start_span(
    name: str,
    parent: common_pb2.TraceContext | Span | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
    start_ns: int | None = None,
) -> Span:
    """Start a span under a message's context or a span of this process; the caller ends it."""
    if isinstance(parent, Span):
        context = trace.set_span_in_context(parent, Context())
    else:
        context = parent_context(parent) or Context()
    return _tracer.start_span(name, context, kind=kind, attributes=attributes, start_time=start_ns)


@contextmanager
def work_span(
    name: str,
    parent: common_pb2.TraceContext | None,
    clock: WorkClock,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Generator[Span]:
    """The span of one unit of work in a service, from its receipt on; its cost is added at the end."""
    span = start_span(name, parent, kind=SpanKind.SERVER, attributes=attributes, start_ns=clock.received_ns)
    with trace.use_span(span, end_on_exit=True, record_exception=False):
        try:
            yield span
        finally:
            span.set_attribute(names.COMPUTE_S, clock.compute_s)
            span.set_attribute(names.QUEUE_S, clock.queued_s)
            span.set_attribute(names.BATCH_SIZE, clock.batch_size)
            labels = {"work": name}
            _compute.record(clock.compute_s, labels)
            _queue.record(clock.queued_s, labels)


@dataclass(frozen=True, slots=True)
class StreamMetrics:
    """Counters of one server's streams."""

    accepted: metrics.Counter
    refused: metrics.Counter


def stream_metrics(active: Callable[[], int]) -> StreamMetrics:
    """Counters of streams, with `active` observed as the number that autoscaling goes by."""

    def observe(_options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        return [metrics.Observation(active())]

    _meter.create_observable_gauge(names.METRIC_ACTIVE_STREAMS, [observe], "{stream}", "Streams open now")
    return StreamMetrics(
        _meter.create_counter(names.METRIC_ACCEPTED, "{stream}", "Streams accepted"),
        _meter.create_counter(names.METRIC_REFUSED, "{stream}", "Streams refused for want of a free one"),
    )
