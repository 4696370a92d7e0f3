"""The bars of a turn as SVG, in percent of the axis, so that they fit any width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from voxmesh_client.trace_page.markup import Markup, element
from voxmesh_client.turn_rows import Chart, Part, Row, Span, bound

CLASSES: Final = {
    Part.WAIT: "wait",
    Part.THERE: "network",
    Part.INPUT: "input",
    Part.QUEUE: "queue",
    Part.COMPUTE: "compute",
    Part.BACK: "network",
    Part.MORE: "more",
}
_LEAST_PERCENT = 0.15
"""Even the shortest part is visible."""
_TICKS = 8


@dataclass(frozen=True, slots=True)
class Axis:
    """Seconds to percent; what began before the axis is shown as far as an eighth of it."""

    start_s: float
    end_s: float
    audio_s: float | None

    @classmethod
    def of(cls, drawn: Chart) -> Axis:
        """The axis of a chart."""
        earliest_s = min((span.start_s for row in drawn.rows for span in row.spans), default=0.0)
        return cls(max(min(0.0, earliest_s), -drawn.end_s / 8), drawn.end_s, drawn.audio_s)

    def percent(self, at_s: float) -> float:
        """A time's place, cut to the axis."""
        return 100 * min(1.0, max(0.0, (at_s - self.start_s) / (self.end_s - self.start_s)))

    def ticks(self) -> list[float]:
        """Round times in seconds, at most so many."""
        rough = (self.end_s - self.start_s) / _TICKS
        step = 10.0 ** math.floor(math.log10(rough))
        step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= rough)
        return [index * step for index in range(math.ceil(self.start_s / step), math.floor(self.end_s / step) + 1)]


def bar(row: Row, axis: Axis) -> Markup:
    """A row's drawing."""
    shapes = [_grid(axis), *(_rect(span, axis) for span in row.spans if _is_visible(span, axis))]
    if (whisker := _whisker(row, axis)) is not None:
        shapes.append(whisker)
    return element("svg", *shapes, class_="bar", role="img", aria_label=_spoken(row))


def scale(axis: Axis) -> Markup:
    """The numbers below all bars, in milliseconds after the start."""
    marks = [
        element("text", f"{at_s * 1000:.0f}", x=_x(axis.percent(at_s)), y="12", class_=_anchor(axis.percent(at_s)))
        for at_s in axis.ticks()
    ]
    return element("svg", *marks, class_="scale", aria_hidden="true")


def _grid(axis: Axis) -> Markup:
    lines = [_line(axis.percent(at_s), "origin" if at_s == 0 else "tick") for at_s in axis.ticks()]
    if axis.audio_s is not None:
        lines.append(_line(axis.percent(axis.audio_s), "audio"))
    return element("g", *lines)


def _line(percent: float, class_: str) -> Markup:
    return element("line", x1=_x(percent), x2=_x(percent), y1="0", y2="100%", class_=class_)


def _rect(span: Span, axis: Axis) -> Markup:
    left, right = axis.percent(span.start_s), axis.percent(span.end_s)
    title = element("title", f"{span.part.value}: {span.length_s * 1000:.1f} ms")
    height, top = ("6", "11") if span.part is Part.MORE else ("16", "6")
    width = max(_LEAST_PERCENT, right - left)
    return element("rect", title, x=_x(left), y=top, width=_x(width), height=height, class_=CLASSES[span.part])


def _whisker(row: Row, axis: Axis) -> Markup | None:
    """How far the service's receipt may lie to either side, where that can be seen."""
    there = next((span for span in row.spans if span.part is Part.THERE), None)
    if there is None or row.bound_s is None:
        return None
    left, right = axis.percent(there.end_s - row.bound_s), axis.percent(there.end_s + row.bound_s)
    if right - left < _LEAST_PERCENT:
        return None
    line = element("line", x1=_x(left), x2=_x(right), y1="25", y2="25")
    ends = [element("line", x1=_x(at), x2=_x(at), y1="23", y2="27") for at in (left, right)]
    title = element("title", f"the service's clock is known within {bound(row.bound_s)}")
    return element("g", title, line, *ends, class_="whisker")


def _is_visible(span: Span, axis: Axis) -> bool:
    return span.end_s >= axis.start_s and span.start_s <= axis.end_s


def _spoken(row: Row) -> str:
    parts = ", ".join(f"{span.part.value} {span.length_s * 1000:.0f} ms" for span in row.spans)
    return f"{row.label}: {parts or 'nothing'}"


def _anchor(percent: float) -> str:
    if percent < 2:  # noqa: PLR2004 # near the edge a number would be cut
        return "first"
    return "last" if percent > 98 else ""  # noqa: PLR2004 # the same


def _x(percent: float) -> str:
    return f"{percent:.3f}%"
