"""What a benchmark shows: how far it is, on standard error, and its report at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from voxmesh_client.bench.asked import Asked
from voxmesh_client.bench.report import Report
from voxmesh_client.cli.console import err, out, print_json
from voxmesh_client.settings import MeshSettings


class ProgressView:
    """Shows steps: a bar on a terminal, else a line for each; nothing at all when `shown` is false."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    @contextmanager
    def step(self, title: str, amount: float, unit: str = "s of audio") -> Generator[Callable[[float], None]]:
        """Show a step over that much work, 0 when it has no measure; gives what takes how much is done."""
        if not self._shown or not err.is_terminal:
            if self._shown:
                err.print(f"{title} ({amount:.0f} {unit})" if amount else title, markup=False)
            yield lambda _amount: None
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as progress:
            task = progress.add_task(title, total=amount or None)
            yield lambda done: progress.update(task, completed=done)


def logs_folder(asked: Asked) -> Path:
    """Where the logs of servers go that are started."""
    return MeshSettings().state_dir / "bench" if asked.out is None else asked.out / "logs"


def finish(report: Report, asked: Asked, status: int) -> None:
    """Write the report where it was asked for, and print it.

    Raises:
        typer.Exit: the status, unless it is 0.
    """
    written = [] if asked.out is None else report.write(asked.out)
    if asked.json:
        print_json(report.to_dict())
    else:
        _print(report, written)
    if status:
        raise typer.Exit(status)


def _print(report: Report, written: list[Path]) -> None:
    for line in report.machine.lines():
        out.print(line, markup=False)
    for table in report.tables:
        out.print()
        out.print(table.rich())
    for line in report.wrong:
        err.print(line, markup=False, style="red")
    if written:
        out.print(f"written: {', '.join(map(str, written))}", markup=False)
