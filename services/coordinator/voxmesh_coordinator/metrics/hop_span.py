"""Exports a hop as a span of its turn: the service's work on the coordinator's clock, with both clocks' times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_runtime import names
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.telemetry import start_span

_TIMES = {
    "sent_time": names.HOP_SENT,
    "first_output_time": names.HOP_FIRST_OUTPUT,
    "finished_time": names.HOP_FINISHED,
}
_RAW_TIMES = {
    "received_time": names.HOP_RAW_RECEIVED,
    "started_time": names.HOP_RAW_STARTED,
    "first_output_time": names.HOP_RAW_FIRST_OUTPUT,
    "finished_time": names.HOP_RAW_FINISHED,
}
_LENGTHS = {
    "network_duration": names.NETWORK_S,
    "network_there_duration": names.NETWORK_THERE_S,
    "network_back_duration": names.NETWORK_BACK_S,
    "input_duration": names.INPUT_S,
    "queue_duration": names.QUEUE_S,
    "compute_duration": names.COMPUTE_S,
    "clock_offset": names.CLOCK_OFFSET_S,
    "clock_offset_error": names.CLOCK_OFFSET_ERROR_S,
}


def export(hop: conversation_pb2.Hop, turn: Span, now_ns: int, *, discarded: bool = False) -> None:
    """Export a hop: from receipt to the last output where the service's clock is known, else as we saw it.

    Args:
        hop: as in the report.
        turn: its parent.
        now_ns: the end of a hop that never finished.
        discarded: its reply was thrown away.
    """
    name = f"{names.SPAN_HOP} {hop.service.partition('/')[0]}"
    begin, end = hop.sent_time, hop.finished_time if hop.HasField("finished_time") else None
    if hop.HasField("clock_offset"):
        begin, end = hop.corrected_received_time, hop.corrected_finished_time
    attributes: dict[str, AttributeValue] = {
        names.HOP_SERVICE: hop.service,
        names.HOP_HOST: hop.host,
        names.HOP_SPECULATIVE: hop.speculative,
        names.HOP_DISCARDED: discarded,
        **_known(hop, _TIMES, Timestamp.ToNanoseconds),
        **_known(hop.service_timing, _RAW_TIMES, Timestamp.ToNanoseconds),
        **_known(hop, _LENGTHS, seconds_of),
    }
    span = start_span(name, turn, kind=SpanKind.CLIENT, attributes=attributes, start_ns=begin.ToNanoseconds())
    span.end(now_ns if end is None else end.ToNanoseconds())


def _known(
    message: conversation_pb2.Hop | common_pb2.Timing, fields: dict[str, str], value: Callable[[Any], AttributeValue]
) -> dict[str, AttributeValue]:
    """The fields of a message that are set, under their attributes' names."""
    return {
        name: value(getattr(message, field))
        for field, name in fields.items()
        if message.HasField(field)  # pyright: ignore[reportArgumentType] # each table names fields of its message
    }
