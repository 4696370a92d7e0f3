"""Sends spans and metrics to an OTLP collector; one that is dead costs one line of log and two seconds at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from voxmesh_runtime.channels import proxy_options

log = logging.getLogger(__name__)

FLUSH_TIMEOUT_S = 2.0
"""Longest wait for the collector when a service stops, in seconds."""


class Collector:
    """One OTLP collector at `endpoint`, as http://host:4317 or https://host:4317."""

    def __init__(self, endpoint: str) -> None:
        # The exporters tell of every attempt; `complain` tells of the first that failed.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        self._endpoint = endpoint
        self._insecure = not endpoint.startswith("https://")
        self._options: Any = proxy_options(endpoint)  # the exporters' own type is a tuple of one pair
        self._unsaid = threading.Lock()

    def span_processor(self) -> BatchSpanProcessor:
        """What sends spans twice a second."""
        exporter = OTLPSpanExporter(endpoint=self._endpoint, insecure=self._insecure, channel_options=self._options)
        return BatchSpanProcessor(_Spans(exporter, self.complain), schedule_delay_millis=500)

    def metric_reader(self) -> PeriodicExportingMetricReader:
        """What sends metrics once a minute, or as OTEL_METRIC_EXPORT_INTERVAL says."""
        exporter = OTLPMetricExporter(endpoint=self._endpoint, insecure=self._insecure, channel_options=self._options)
        return PeriodicExportingMetricReader(_Metrics(exporter, self.complain))

    def complain(self) -> None:
        """Say, the first time, that something was not delivered."""
        if self._unsaid.acquire(blocking=False):
            log.warning("traces and metrics are not delivered", extra={"endpoint": self._endpoint})

    def flush(self, *shutdowns: Callable[[], None]) -> None:
        """Run blocking shutdowns side by side, and leave those that do not end in time."""
        threads = [threading.Thread(target=shutdown, daemon=True) for shutdown in shutdowns]
        for thread in threads:
            thread.start()
        until = time.monotonic() + FLUSH_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            self.complain()


class _Spans(SpanExporter):
    def __init__(self, exporter: OTLPSpanExporter, complain: Callable[[], None]) -> None:
        self._exporter = exporter
        self._complain = complain

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._complain()
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _Metrics(MetricExporter):
    def __init__(self, exporter: OTLPMetricExporter, complain: Callable[[], None]) -> None:
        super().__init__()
        self._exporter = exporter
        self._complain = complain

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        if result is not MetricExportResult.SUCCESS:
            self._complain()
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        self._exporter.shutdown(timeout_millis, **kwargs)
