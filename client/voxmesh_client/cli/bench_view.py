"""How far a benchmark is, on standard error: a bar on a terminal, else a line for each step."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from voxmesh_client.cli.console import err


class ProgressView:
    """Shows steps; nothing at all when `shown` is false."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    @contextmanager
    def step(self, title: str, seconds: float) -> Generator[Callable[[float], None]]:
        """Show a step over `seconds` of audio, 0 when it has none; gives what takes the seconds that are done."""
        if not self._shown or not err.is_terminal:
            if self._shown:
                err.print(f"{title} ({seconds:.0f} s of audio)" if seconds else title, markup=False)
            yield lambda _seconds: None
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as progress:
            task = progress.add_task(title, total=seconds or None)
            yield lambda done: progress.update(task, completed=done)
