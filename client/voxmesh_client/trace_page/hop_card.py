"""What is told of a hop: its parts in a table, and when it is pointed at every time by both clocks."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from voxmesh.conversation.v1.conversation_pb2 import Hop
from voxmesh_client.trace_page.markup import Markup, element, joined
from voxmesh_client.turn_rows import Row, bound, seconds, since, split

_US = 1_000
_STAMPS = (
    ("request sent", "sent_time", None),
    ("received by the service", "corrected_received_time", "received_time"),
    ("work began", "corrected_started_time", "started_time"),
    ("first output left", "corrected_first_output_time", "first_output_time"),
    ("first output arrived", "first_output_time", None),
    ("last output left", "corrected_finished_time", "finished_time"),
    ("last output arrived", "finished_time", None),
)
"""What happened, when by the coordinator's clock, and the field of the service's own stamp."""


def card(row: Row, start_ns: int) -> Markup:
    """The times of a hop; nothing for a row that is none."""
    if row.hop is None:
        return Markup()
    hop = row.hop
    head = element("tr", *(element("th", text) for text in ("", "ms", "coordinator's clock", "service's clock")))
    lines = [_stamp(hop, what, ours, theirs, start_ns) for what, ours, theirs in _STAMPS]
    table = element("table", head, *(line for line in lines if line))
    return element("div", element("p", element("b", row.label)), table, *_notes(row, hop), class_="card")


def _stamp(hop: Hop, what: str, ours: str, theirs: str | None, start_ns: int) -> Markup:
    corrected = _time(hop, ours)
    raw = _time(hop.service_timing, theirs) if theirs is not None else None
    if corrected is None and raw is None:
        return Markup()
    offset = "" if corrected is None else f"{since(corrected, start_ns) * 1000:.2f}"
    cells = (offset, *("" if time is None else clock_time(time) for time in (corrected, raw)))
    return element("tr", element("td", what), *(element("td", text, class_="n") for text in cells))


def _time(message: object, field: str) -> Timestamp | None:
    has: bool = message.HasField(field)  # pyright: ignore[reportAttributeAccessIssue] # a Hop or a Timing
    return getattr(message, field) if has else None


def _notes(row: Row, hop: Hop) -> list[Markup]:
    notes: list[Markup] = []
    if row.bound_s is not None:
        offset_ms = seconds(hop.clock_offset) * 1000
        notes.append(element("p", f"The service's clock is {offset_ms:+,.2f} ms from ours, {bound(row.bound_s)}."))
    elif hop.HasField("service_timing"):
        notes.append(element("p", "A clock was set meanwhile: its offset is not known."))
    if hop.speculative:
        notes.append(element("p", "Begun before the end of the turn was certain."))
    return notes


def figures(row: Row) -> Markup:
    """The row of the table below the bars: each part until the first output, in milliseconds."""
    hop = row.hop
    if hop is None:
        total_s = sum(span.length_s for span in row.spans)
        return _cells(row.label, total_s, {}, ("", ""))
    total_s = since(hop.first_output_time, hop.sent_time.ToNanoseconds()) if hop.HasField("first_output_time") else None
    parts = {part.value: length_s for part, length_s in split(hop).items()} if hop.HasField("network_duration") else {}
    if row.bound_s is None:
        return _cells(row.label, total_s, parts, ("", ""))
    return _cells(row.label, total_s, parts, (f"{seconds(hop.clock_offset) * 1000:+,.1f}", bound(row.bound_s)))


def _cells(label: str, total_s: float | None, parts: dict[str, float], clock: tuple[str, str]) -> Markup:
    lengths = list(parts.values()) or [None] * 5
    told = ["" if length_s is None else f"{length_s * 1000:.1f}" for length_s in (*lengths, total_s)]
    return element("tr", element("td", label), joined(*(element("td", text, class_="n") for text in (*told, *clock))))


def clock_time(time: Timestamp) -> str:
    """The time of day in UTC, to the microsecond."""
    nanoseconds = time.ToNanoseconds()
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{moment:%H:%M:%S}.{nanoseconds % 1_000_000_000 // _US:06d}"
