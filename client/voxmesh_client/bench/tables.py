"""Rows under a heading, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table as RichTable

MISSING = "-"
"""What was not measured."""


@dataclass(frozen=True, slots=True)
class Table:
    """A title, columns and rows; the first columns are text, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1

    def markdown(self) -> str:
        """The table as Markdown, its title a heading."""
        ruler = ["---" if index < self.text_columns else "---:" for index in range(len(self.columns))]
        lines = [_line(row) for row in (self.columns, ruler, *self.rows)]
        return "\n".join([f"## {self.title}", "", *lines])

    def rich(self) -> RichTable:
        """The table for the terminal."""
        grid = RichTable(title=escape(self.title), title_justify="left", title_style="bold", box=SIMPLE)
        for index, column in enumerate(self.columns):
            grid.add_column(escape(column), justify="left" if index < self.text_columns else "right")
        for row in self.rows:
            grid.add_row(*map(escape, row))
        return grid


def number(value: float | None, digits: int = 2) -> str:
    """A figure for a person."""
    return MISSING if value is None else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 2) -> str:
    """A share for a person, in percent without the sign."""
    return MISSING if value is None else f"{100 * value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
