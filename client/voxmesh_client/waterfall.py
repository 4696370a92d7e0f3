"""Draws where the time of one turn went: a bar for every hop on one axis, from speech end to first audio.

end-of-turn wait     ▁▁▁▁▁▁▁▁▁▁▁▁▁▁                   │       420 ms
stt/moonshine*         ░▒████░                        │       180 ms
llm/llama_cpp                 ░░████────────          │──     120 ms
tts/hibari                              ░··███░───────│────    90 ms
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from voxmesh.conversation.v1.conversation_pb2 import Hop, TurnReport
from voxmesh_client.turn_rows import Part, Row, Span, bound, chart, headline, ms, split

_FIGURES_WIDTH = 58
_MIN_BAR_WIDTH = 20

WAIT, NETWORK, INPUT, QUEUE, COMPUTE, MORE = "▁", "░", "·", "▒", "█", "─"
CHARACTERS: Final = {
    Part.WAIT: WAIT,
    Part.THERE: NETWORK,
    Part.INPUT: INPUT,
    Part.QUEUE: QUEUE,
    Part.COMPUTE: COMPUTE,
    Part.BACK: NETWORK,
    Part.MORE: MORE,
}
_STYLES = {WAIT: "dim", NETWORK: "yellow", INPUT: "dim", QUEUE: "magenta", COMPUTE: "green", MORE: "cyan"}
LEGEND = (
    f"{WAIT} wait  {NETWORK} network (there+back)  {INPUT} input  {QUEUE} queue  {COMPUTE} compute  "
    f"{MORE} further output  │ first audio"
)


def waterfall(report: TurnReport, width: int = 120) -> list[Text]:
    """The drawing, `width` columns wide, a Text for each line; `line.plain` has no styles."""
    drawn = chart(report)
    if drawn is None:
        return [Text(f"turn {report.turn_index}: no time was reported")]
    label_width = max((len(row.label) for row in drawn.rows), default=0) + 1
    bar_width = max(_MIN_BAR_WIDTH, width - label_width - 2 - _FIGURES_WIDTH)
    scale = _Scale(bar_width, drawn.end_s, drawn.audio_s)
    lines = [Text(headline(report, drawn), style="bold")]
    lines += [_line(row, label_width, scale) for row in drawn.rows]
    lines.append(Text(" " * (label_width + 1) + scale.ruler(), style="dim"))
    star = "  * before the end of the turn was certain" if any(row.is_speculative for row in drawn.rows) else ""
    lines.append(Text(f"{' ' * (label_width + 1)}{LEGEND}{star}", style="dim"))
    return lines


def _figures(row: Row) -> str:
    if row.hop is None:
        return f"{ms(sum(span.length_s for span in row.spans))} ms"
    return _hop_figures(row.hop, row.bound_s)


def _hop_figures(hop: Hop, bound_s: float | None) -> str:
    if not hop.HasField("first_output_time"):
        return "no output"
    first_ms = ms((hop.first_output_time.ToNanoseconds() - hop.sent_time.ToNanoseconds()) / 1e9)
    if not hop.HasField("network_duration"):
        return f"{first_ms} ms (not finished)"
    parts = split(hop)
    figures = [f"network {ms(parts[Part.THERE])}+{ms(parts[Part.BACK])}"]
    if ms(parts[Part.INPUT]) != "0":
        figures.append(f"input {ms(parts[Part.INPUT])}")
    figures += [f"queue {ms(parts[Part.QUEUE])}", f"compute {ms(parts[Part.COMPUTE])}"]
    known = "" if bound_s is None else f" {bound(bound_s)}"
    return f"{first_ms} ms ({', '.join(figures)}){known}"


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
            return "0" + f"{ms(self.end_s)} ms".rjust(self.width - 1)
        mark = f"{ms(self.audio_s)} ms"
        return ("0" + mark.rjust(max(len(mark), column + len(mark) // 2 - 1))).ljust(self.width)


def _line(row: Row, label_width: int, scale: _Scale) -> Text:
    line = Text(row.label.ljust(label_width) + " ")
    for column, character in enumerate(_cells(row.spans, scale)):
        later = scale.audio_column is not None and column > scale.audio_column
        line.append(character, style="dim" if later else _STYLES.get(character, ""))
    line.append(f" {_figures(row)}")
    return line


def _cells(spans: Iterable[Span], scale: _Scale) -> list[str]:
    """A character for each column; even the shortest span gets one, and what is cut is shown by an arrow."""
    cells = [" "] * scale.width
    if scale.audio_column is not None:
        cells[scale.audio_column] = "│"
    for span in spans:
        first, last = scale.column(span.start_s), scale.column(span.end_s)
        for column in range(min(first, scale.width - 1), max(last, first + 1)):
            if column < scale.width and (cells[column] != "│" or span.part is not Part.MORE):
                cells[column] = CHARACTERS[span.part]
        if span.start_s < 0 <= span.end_s:
            cells[0] = "←"
        if span.end_s > scale.end_s:
            cells[-1] = "→"
    return cells
