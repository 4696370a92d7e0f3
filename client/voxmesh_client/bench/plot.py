"""Plots: two panels for every benchmark, and what `voxmesh bench stt` draws on them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voxmesh_client.bench.findings import Measured
from voxmesh_client.bench.measuring import Pass
from voxmesh_client.bench.results import Run, figures

_INCHES = (10.0, 4.2)
_DPI = 120


@contextmanager
def panels(path: Path) -> Generator[tuple[Any, Any]]:
    """Two axes side by side, to be drawn on in a block; then saved as PNG or SVG by suffix."""
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    yield left, right
    for axes in (left, right):
        axes.margins(y=0.2)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
        else:
            axes.set_title("not measured", fontsize="small")
    figure.savefig(path)


def draw_stt(run: Run, path: Path) -> None:
    """Draw word error rate over the wait for a final, and the real-time factor over streams."""
    with panels(path) as (errors, cost):
        for index, result in enumerate(run.results):
            style = {"label": result.name, "color": f"C{index % 10}"}
            _draw_errors(errors, [each for each in result.passes if each.manner.real_time], style)
            _draw_cost(cost, [each for each in result.passes if not each.manner.real_time], style)
        errors.set(xlabel="end of audio to final, median to p95, ms", ylabel="word error rate, %")
        cost.set(xlabel="streams at once", ylabel="real-time factor of each stream")
        cost.axhline(1.0, color="grey", linewidth=0.8, linestyle="--")
        cost.set_xticks(sorted({each.streams for result in run.results for each in result.passes}))


def _draw_errors(axes: Any, passes: list[Pass], style: dict[str, str]) -> None:
    label: str | None = style["label"]
    for each in passes:
        told = figures(each, "")
        median_s, worst_s, wer = told["final_delay_p50_s"], told["final_delay_p95_s"], told["wer"]
        if median_s is None or worst_s is None or wer is None:
            continue
        height = 100 * wer
        axes.plot([1000 * median_s, 1000 * worst_s], [height, height], color=style["color"], linewidth=1)
        axes.plot([1000 * median_s], [height], "o", color=style["color"], label=label)
        axes.annotate(f"{each.streams}", (1000 * median_s, height), textcoords="offset points", xytext=(4, 4))
        label = None  # once in the legend


def _draw_cost(axes: Any, passes: list[Pass], style: dict[str, str]) -> None:
    points = [(each.streams, each.real_time_factor) for each in passes if each.real_time_factor is not None]
    if points:
        axes.plot(*zip(*points, strict=True), marker="o", **style)


def over_streams(
    axes: Any, found: Sequence[Measured], metric: str, label: str, index: int, *, dashed: bool = False
) -> None:
    """Draw a figure over streams, where it was measured; `index` chooses the colour."""
    points = [(each.where["streams"], value) for each in found if (value := each.figures[metric]) is not None]
    if points:
        axes.plot(
            *zip(*points, strict=True),
            marker="o",
            linestyle="--" if dashed else "-",
            label=label,
            color=f"C{index % 10}",
        )
        axes.set_xticks([streams for streams, _ in points])


def draw_waits(axes: Any, found: Sequence[Measured], wait: str, label: str, index: int) -> None:
    """Draw the median of a wait over streams, in milliseconds, with a line up to its 95th percentile."""
    colour = f"C{index % 10}"
    told = [(each.where["streams"], each.figures[f"{wait}_p50_s"], each.figures[f"{wait}_p95_s"]) for each in found]
    points = [(streams, 1000 * low, 1000 * high) for streams, low, high in told if low is not None and high is not None]
    if points:
        axes.plot([streams for streams, _, _ in points], [low for _, low, _ in points], "o-", color=colour, label=label)
        for streams, low, high in points:
            axes.plot([streams, streams], [low, high], color=colour, linewidth=1)
        axes.set_xticks([streams for streams, _, _ in points])
