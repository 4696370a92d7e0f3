"""Shows how far a download is: a bar on a terminal, a line of log a quarter elsewhere."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

ProgressCallback: TypeAlias = Callable[[int, int], None]
"""Called with bytes done and bytes in all; an exception that it raises ends the download."""

_log = logging.getLogger(__name__)


@contextmanager
def progress_bar(description: str, console: Console | None = None) -> Generator[ProgressCallback]:
    """Give a callback that shows progress on standard error, or on another console."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _QuarterLog(description)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class _QuarterLog:
    """Logs when another quarter is done."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._quarters = 0

    def __call__(self, done: int, total: int) -> None:
        quarters = 4 * done // total if total else 0
        if quarters > self._quarters:
            self._quarters = quarters
            _log.info("fetching model", extra={"model": self._description, "percent": 25 * quarters})
