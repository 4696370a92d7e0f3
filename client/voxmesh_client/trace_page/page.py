"""The page: turns one below the other, each with its bars, and all figures in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final

from voxmesh.conversation.v1.conversation_pb2 import ReportedTurn
from voxmesh_client.trace_page.bars import CLASSES, Axis, bar, scale
from voxmesh_client.trace_page.hop_card import card, figures
from voxmesh_client.trace_page.markup import Markup, element, joined
from voxmesh_client.turn_rows import Chart, Part, Row, chart, headline, ms

_LEGEND: Final = {
    Part.WAIT: "end-of-turn wait",
    Part.THERE: "network",
    Part.INPUT: "wait for input",
    Part.QUEUE: "queue",
    Part.COMPUTE: "compute",
    Part.MORE: "further output",
}
_COLUMNS = (
    "",
    "network there",
    "input",
    "queue",
    "compute",
    "network back",
    "first output",
    "clock offset",
    "known within",
)


def page(turns: Sequence[ReportedTurn]) -> str:
    """An HTML document; nothing in it is fetched from anywhere.

    Args:
        turns: at least one, in the order in which they are to stand.
    """
    style = files("voxmesh_client.trace_page").joinpath("page.css").read_text(encoding="utf-8")
    head = joined(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        element("title", _title(turns)),
        element("style", Markup(style)),
    )
    contents = [_contents(turns)] if len(turns) > 1 else []
    sections = [_section(number, turn) for number, turn in enumerate(turns)]
    body = element("body", element("header", element("h1", _title(turns)), _legend()), *contents, *sections)
    return f"<!doctype html>\n{element('html', element('head', head), body, lang='en')}\n"


def _title(turns: Sequence[ReportedTurn]) -> str:
    return "Where the time of a turn went" if len(turns) == 1 else f"Where the time of {len(turns)} turns went"


def _legend() -> Markup:
    keys = [
        element("span", element("svg", element("rect", class_=CLASSES[part], width="12", height="12")), name)
        for part, name in _LEGEND.items()
    ]
    audio = element("svg", element("line", class_="audio", x1="6", x2="6", y1="0", y2="12"))
    return element("p", *keys, element("span", audio, "first audio"), class_="legend")


def _contents(turns: Sequence[ReportedTurn]) -> Markup:
    """One line a turn, with the wait of the person as a bar, all on one scale."""
    waits = [_audio_s(turn) for turn in turns]
    longest_s = max((wait_s for wait_s in waits if wait_s is not None), default=0.0) or 1.0
    lines: list[Markup] = []
    for number, (turn, wait_s) in enumerate(zip(turns, waits, strict=True)):
        link = element("a", f"turn {turn.report.turn_index}", href=f"#turn-{number}")
        width = f"{100 * (wait_s or 0.0) / longest_s:.2f}%"
        drawn = element("svg", element("rect", class_="total", width=width, height="12"), aria_hidden="true")
        told = "no audio" if wait_s is None else f"{ms(wait_s)} ms"
        lines.append(element("tr", element("td", link), element("td", drawn), element("td", told, class_="n")))
    return element("table", *lines, class_="contents")


def _audio_s(turn: ReportedTurn) -> float | None:
    drawn = chart(turn.report)
    return None if drawn is None else drawn.audio_s


def _section(number: int, turn: ReportedTurn) -> Markup:
    drawn = chart(turn.report)
    parts = [element("h2", _headline(turn, drawn)), _facts(turn)]
    if drawn is not None:
        axis = Axis.of(drawn)
        bars = [_row(row, drawn, axis) for row in drawn.rows]
        parts.append(element("div", *bars, _scale_row(axis), class_="rows"))
        parts.append(_table(drawn))
    return element("section", *parts, id=f"turn-{number}")


def _headline(turn: ReportedTurn, drawn: Chart | None) -> str:
    if drawn is None:
        return f"turn {turn.report.turn_index}: no time was reported"
    return headline(turn.report, drawn)


def _facts(turn: ReportedTurn) -> Markup:
    facts = [("trace", turn.report.trace_id), ("session", turn.session_id), ("coordinator", turn.report.host)]
    if turn.HasField("report_time"):
        moment = datetime.fromtimestamp(turn.report_time.ToNanoseconds() // 1_000_000_000, UTC)
        facts.append(("reported", f"{moment:%Y-%m-%d %H:%M:%S} UTC"))
    told = [element("span", f"{name} ", element("code", value)) for name, value in facts if value]
    return element("p", *told, class_="facts")


def _row(row: Row, drawn: Chart, axis: Axis) -> Markup:
    first_s = sum(span.length_s for span in row.spans if span.part is not Part.MORE)
    cells = (
        element("div", row.label, class_="label"),
        bar(row, axis),
        element("div", f"{ms(first_s)} ms", class_="n"),
        card(row, drawn.start_ns),
    )
    # Focus shows what pointing shows, for keyboards and fingers.
    return element("div", *cells, class_="row", tabindex="0")


def _scale_row(axis: Axis) -> Markup:
    return element("div", element("div", "ms", class_="label"), scale(axis), element("div"), class_="row axis")


def _table(drawn: Chart) -> Markup:
    head = element("tr", *(element("th", text) for text in _COLUMNS))
    rows = [figures(row) for row in drawn.rows]
    star = (
        [element("p", "* before the end of the turn was certain")] if any(r.is_speculative for r in drawn.rows) else []
    )
    table = element("table", head, *rows)
    return element("details", element("summary", "figures in milliseconds"), table, *star, open="")
