"""What a benchmark found: tables for people, figures for programs, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title; the first column is text, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def print(self, console: Console) -> None:
        """Print it in Markdown, so that a report can take it as it is."""
        console.print(f"\n{self.title}\n", style="bold", markup=False)
        table = RichTable(box=box.MARKDOWN)
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        console.print(table, markup=False)
        for note in self.notes:
            console.print(f"\n{note}", markup=False)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one benchmark."""

    name: str
    tables: Sequence[Table]
    figures: dict[str, Any]
    """All that was measured, with units in the names."""
    problems: Sequence[str] = field(default_factory=tuple[str, ...])
    """What must not be, such as a leak; each a sentence."""
