"""What a drawing of a turn's time shows: a row for the wait and for every hop, divided into parts, on one axis."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from voxmesh.conversation.v1.conversation_pb2 import Hop, TurnReport

_NS = 1_000_000_000
_LATER_SHARE = 0.25
"""Room after the first audio, as a share of the time before it; later work is cut there."""


class Part(enum.Enum):
    """What goes on in a stretch of time."""

    WAIT = "end-of-turn wait"
    THERE = "network there"
    INPUT = "wait for input"
    QUEUE = "queue"
    COMPUTE = "compute"
    BACK = "network back"
    MORE = "further output"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in seconds after the start of the axis."""

    start_s: float
    end_s: float
    part: Part

    @property
    def length_s(self) -> float:
        """How long it is, in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Row:
    """One bar; `hop` is None for the wait for the end of the turn."""

    label: str
    spans: tuple[Span, ...]
    hop: Hop | None = None

    @property
    def is_speculative(self) -> bool:
        """The work was done before the end of the turn was certain."""
        return self.hop is not None and self.hop.speculative

    @property
    def bound_s(self) -> float | None:
        """Half-width of the interval that holds the service's clock, in seconds; None when it is not known."""
        if self.hop is None or not self.hop.HasField("clock_offset_error"):
            return None
        return seconds(self.hop.clock_offset_error)


@dataclass(frozen=True, slots=True)
class Chart:
    """All rows of a turn, on an axis that begins when speech ended, or the typed turn did."""

    start_ns: int
    rows: tuple[Row, ...]
    audio_s: float | None
    """The first audio of the reply; None when there was none."""
    end_s: float
    """End of the axis: a while after the first audio."""

    @property
    def bound_s(self) -> float | None:
        """The widest bound of all clocks, in seconds."""
        return max((row.bound_s for row in self.rows if row.bound_s is not None), default=None)


def chart(report: TurnReport) -> Chart | None:
    """What is to be drawn of a report; None when it has no times."""
    start_ns = _start_ns(report)
    if start_ns is None:
        return None
    audio_s = since(report.first_audio_time, start_ns) if report.HasField("first_audio_time") else None
    rows = (*_wait_rows(report, start_ns), *(_hop_row(hop, start_ns) for hop in report.hops))
    return Chart(start_ns, rows, audio_s, _end_s(rows, audio_s))


def _wait_rows(report: TurnReport, start_ns: int) -> tuple[Row, ...]:
    """The wait for the end of the turn, where speech was ended by one."""
    if not report.HasField("speech_ended_time"):
        return ()
    for name in ("turn_endable_time", "turn_ended_time"):
        if report.HasField(name):
            end_s = since(getattr(report, name), start_ns)
            return (Row(Part.WAIT.value, (Span(0.0, end_s, Part.WAIT),)),)
    return ()


def _hop_row(hop: Hop, start_ns: int) -> Row:
    host = f" @{hop.host}" if hop.host else ""
    return Row(f"{hop.service}{host}{'*' if hop.speculative else ''}", _hop_spans(hop, start_ns), hop)


def _hop_spans(hop: Hop, start_ns: int) -> tuple[Span, ...]:
    at_s = since(hop.sent_time, start_ns)
    spans: list[Span] = []
    for part, length_s in split(hop).items():
        if length_s > 0:
            spans.append(Span(at_s, at_s + length_s, part))
            at_s += length_s
    if hop.HasField("finished_time") and (end_s := since(hop.finished_time, start_ns)) > at_s:
        spans.append(Span(at_s, end_s, Part.MORE))
    return tuple(spans)


def split(hop: Hop) -> dict[Part, float]:
    """Seconds of each part until the first output, in order; a report without the ways has half of the network each."""
    half_s = seconds(hop.network_duration) / 2
    is_split = hop.HasField("network_there_duration")
    return {
        Part.THERE: seconds(hop.network_there_duration) if is_split else half_s,
        Part.INPUT: seconds(hop.input_duration),
        Part.QUEUE: seconds(hop.queue_duration),
        Part.COMPUTE: seconds(hop.compute_duration),
        Part.BACK: seconds(hop.network_back_duration) if is_split else half_s,
    }


def headline(report: TurnReport, drawn: Chart) -> str:
    """One line: how long the person waited, how much of that is explained, and how well the clocks are known."""
    begin = "speech ended" if report.HasField("speech_ended_time") else "the turn ended"
    first = "no audio" if drawn.audio_s is None else f"first audio {ms(drawn.audio_s)} ms after {begin}"
    parts = [f"turn {report.turn_index}: {first}"]
    if drawn.audio_s is not None:
        parts.append(f"{report.explained_share:.0%} explained")
    if drawn.bound_s is not None:
        parts.append(f"clocks within {bound(drawn.bound_s)}")
    if (discarded_s := seconds(report.discarded_compute_duration)) > 0:
        replies = f" in {report.discarded_reply_count}" if report.discarded_reply_count else ""
        parts.append(f"{ms(discarded_s)} ms of work discarded{replies}")
    return ", ".join(parts)


def _start_ns(report: TurnReport) -> int | None:
    for name in ("speech_ended_time", "turn_ended_time"):
        if report.HasField(name):
            time: Timestamp = getattr(report, name)
            return time.ToNanoseconds()
    return report.hops[0].sent_time.ToNanoseconds() if report.hops else None


def _end_s(drawn: Iterable[Row], audio_s: float | None) -> float:
    latest_s = max((span.end_s for row in drawn for span in row.spans), default=0.0)
    if audio_s is not None and audio_s > 0:
        return max(audio_s, min(latest_s, audio_s * (1 + _LATER_SHARE)))
    return max(latest_s, 0.001)


def since(time: Timestamp, start_ns: int) -> float:
    """Seconds from `start_ns` to a time."""
    return (time.ToNanoseconds() - start_ns) / _NS


def seconds(length: Duration) -> float:
    """A Duration in seconds."""
    return length.ToNanoseconds() / _NS


def ms(length_s: float) -> str:
    """Whole milliseconds."""
    return f"{length_s * 1000:.0f}"


def bound(length_s: float) -> str:
    """A bound with as many digits as it deserves, such as "±0.4 ms"."""
    return f"±{length_s * 1000:.1f} ms" if length_s < 0.01 else f"±{ms(length_s)} ms"  # noqa: PLR2004 # 10 ms
