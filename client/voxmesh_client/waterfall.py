"""Draws where the time of one turn went: a bar for every hop on one axis, from speech end to first audio.

end-of-turn wait     ▁▁▁▁▁▁▁▁▁▁▁▁▁▁                   │       420 ms
stt/moonshine*         ░▒████░                        │       180 ms
llm/llama_cpp                 ░░████────────          │──     120 ms
tts/hibari                              ░█████░───────│────    90 ms
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from voxmesh.conversation.v1.conversation_pb2 import Hop, TurnReport

_NS = 1_000_000_000
_LATER_SHARE = 0.25
"""Room after the first audio, as a share of the time before it; later work is cut there."""
_FIGURES_WIDTH = 46
_MIN_BAR_WIDTH = 20

WAIT, NETWORK, QUEUE, COMPUTE, MORE = "▁", "░", "▒", "█", "─"
_STYLES = {WAIT: "dim", NETWORK: "yellow", QUEUE: "magenta", COMPUTE: "green", MORE: "cyan"}
LEGEND = f"{WAIT} wait  {NETWORK} network  {QUEUE} queue  {COMPUTE} compute  {MORE} further output  │ first audio"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in seconds after the start of the axis, drawn with one character."""

    start_s: float
    end_s: float
    character: str


@dataclass(frozen=True, slots=True)
class Row:
    """One bar."""

    label: str
    spans: tuple[Span, ...]
    figures: str
    speculative: bool = False


def waterfall(report: TurnReport, width: int = 110) -> list[Text]:
    """The drawing, `width` columns wide, a Text for each line; `line.plain` has no styles."""
    start_ns = _axis_start_ns(report)
    if start_ns is None:
        return [Text(f"turn {report.turn_index}: no time was reported")]
    audio_s = _since(report.first_audio_time, start_ns) if report.HasField("first_audio_time") else None
    drawn = rows(report, start_ns)
    label_width = max((len(row.label) for row in drawn), default=0) + 1
    bar_width = max(_MIN_BAR_WIDTH, width - label_width - 2 - _FIGURES_WIDTH)
    scale = _Scale(bar_width, _axis_end_s(drawn, audio_s), audio_s)
    lines = [Text(_headline(report, audio_s), style="bold")]
    lines += [_line(row, label_width, scale) for row in drawn]
    lines.append(Text(" " * (label_width + 1) + scale.ruler(), style="dim"))
    star = "  * before the end of the turn was certain" if any(row.speculative for row in drawn) else ""
    lines.append(Text(f"{' ' * (label_width + 1)}{LEGEND}{star}", style="dim"))
    return lines


def rows(report: TurnReport, start_ns: int) -> list[Row]:
    """The wait for the end of the turn, if speech was ended by one, and every hop, on an axis from `start_ns`."""
    found: list[Row] = []
    if report.HasField("speech_ended_time") and report.HasField("turn_ended_time"):
        begin_s, end_s = _since(report.speech_ended_time, start_ns), _since(report.turn_ended_time, start_ns)
        found.append(Row("end-of-turn wait", (Span(begin_s, end_s, WAIT),), f"{_ms(end_s - begin_s)} ms"))
    return found + [_hop_row(hop, start_ns) for hop in report.hops]


def _hop_row(hop: Hop, start_ns: int) -> Row:
    host = f" @{hop.host}" if hop.host else ""
    return Row(
        f"{hop.service}{host}{'*' if hop.speculative else ''}",
        _hop_spans(hop, start_ns),
        _hop_figures(hop),
        hop.speculative,
    )


def _hop_spans(hop: Hop, start_ns: int) -> tuple[Span, ...]:
    """Half the network, queue, compute, the other half, then what came after the first output."""
    at_s = _since(hop.sent_time, start_ns)
    network_s = _seconds(hop.network_duration)
    parts = (
        (network_s / 2, NETWORK),
        (_seconds(hop.queue_duration), QUEUE),
        (_seconds(hop.compute_duration), COMPUTE),
        (network_s / 2, NETWORK),
    )
    spans: list[Span] = []
    for length_s, character in parts:
        if length_s > 0:
            spans.append(Span(at_s, at_s + length_s, character))
            at_s += length_s
    if hop.HasField("finished_time") and (end_s := _since(hop.finished_time, start_ns)) > at_s:
        spans.append(Span(at_s, end_s, MORE))
    return tuple(spans)


def _hop_figures(hop: Hop) -> str:
    if not hop.HasField("first_output_time"):
        return "no output"
    first_ms = _ms((hop.first_output_time.ToNanoseconds() - hop.sent_time.ToNanoseconds()) / _NS)
    split = (hop.network_duration, hop.queue_duration, hop.compute_duration)
    network, queue, compute = (_ms(_seconds(part)) for part in split)
    return f"{first_ms} ms (network {network}, queue {queue}, compute {compute})"


def _headline(report: TurnReport, audio_s: float | None) -> str:
    begin = "speech ended" if report.HasField("speech_ended_time") else "the turn ended"
    first = "no audio" if audio_s is None else f"first audio {_ms(audio_s)} ms after {begin}"
    parts = [f"turn {report.turn_index}: {first}"]
    if audio_s is not None:
        parts.append(f"{report.explained_share:.0%} explained")
    if (discarded_s := _seconds(report.discarded_compute_duration)) > 0:
        parts.append(f"{_ms(discarded_s)} ms of work discarded")
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Seconds to columns."""

    width: int
    end_s: float
    audio_s: float | None

    def column(self, at_s: float) -> int:
        return min(self.width, max(0, round(at_s / self.end_s * self.width)))

    @property
    def audio_column(self) -> int | None:
        return None if self.audio_s is None else min(self.width - 1, self.column(self.audio_s))

    def ruler(self) -> str:
        """The axis with its start and the first audio, in milliseconds."""
        column = self.audio_column
        if self.audio_s is None or column is None:
            return "0" + f"{_ms(self.end_s)} ms".rjust(self.width - 1)
        mark = f"{_ms(self.audio_s)} ms"
        return ("0" + mark.rjust(max(len(mark), column + len(mark) // 2 - 1))).ljust(self.width)


def _line(row: Row, label_width: int, scale: _Scale) -> Text:
    line = Text(row.label.ljust(label_width) + " ")
    for column, character in enumerate(_cells(row.spans, scale)):
        later = scale.audio_column is not None and column > scale.audio_column
        line.append(character, style="dim" if later else _STYLES.get(character, ""))
    line.append(f" {row.figures}")
    return line


def _cells(spans: Iterable[Span], scale: _Scale) -> list[str]:
    """A character for each column; even the shortest span gets one, and what is cut is shown by an arrow."""
    cells = [" "] * scale.width
    if scale.audio_column is not None:
        cells[scale.audio_column] = "│"
    for span in spans:
        first, last = scale.column(span.start_s), scale.column(span.end_s)
        for column in range(min(first, scale.width - 1), max(last, first + 1)):
            if column < scale.width and (cells[column] != "│" or span.character != MORE):
                cells[column] = span.character
        if span.start_s < 0 <= span.end_s:
            cells[0] = "←"
        if span.end_s > scale.end_s:
            cells[-1] = "→"
    return cells


def _axis_start_ns(report: TurnReport) -> int | None:
    for name in ("speech_ended_time", "turn_ended_time"):
        if report.HasField(name):
            time: Timestamp = getattr(report, name)
            return time.ToNanoseconds()
    return report.hops[0].sent_time.ToNanoseconds() if report.hops else None


def _axis_end_s(drawn: Iterable[Row], audio_s: float | None) -> float:
    latest_s = max((span.end_s for row in drawn for span in row.spans), default=0.0)
    if audio_s is not None and audio_s > 0:
        return max(audio_s, min(latest_s, audio_s * (1 + _LATER_SHARE)))
    return max(latest_s, 0.001)


def _since(time: Timestamp, start_ns: int) -> float:
    return (time.ToNanoseconds() - start_ns) / _NS


def _seconds(length: Duration) -> float:
    return length.ToNanoseconds() / _NS


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
