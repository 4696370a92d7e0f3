"""Shows a local mesh while it runs: one screen on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Protocol, Self

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from voxmesh_client.cli.console import print_json
from voxmesh_client.local.logs import last_lines, newest_message
from voxmesh_client.local.process import State
from voxmesh_client.local.supervisor import Watched

_STYLES = {
    State.STARTING: "yellow",
    State.LOADING: "yellow",
    State.SERVING: "green",
    State.RESTARTING: "magenta",
    State.FAILED: "bold red",
    State.STOPPING: "dim",
    State.STOPPED: "dim",
}
_TOLD_LINES = 8
_SAID_BY_STATE = ("listening", "serving")
"""Log lines that say no more than the state does."""


class UpView(Protocol):
    """How `voxmesh up` shows what happens."""

    def changed(self, watched: Watched) -> None:
        """A service's state changed."""
        ...

    def refresh(self, services: Iterable[Watched]) -> None:
        """Time has passed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Plain:
    """A view without a screen of its own."""

    def refresh(self, services: Iterable[Watched]) -> None:
        """Nothing to draw."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class LineView(_Plain):
    """A line for each change of state, and the end of a failed service's log; progress as it is logged."""

    def __init__(self, console: Console, *, only_failures: bool = False) -> None:
        self._console = console
        self._only_failures = only_failures
        self._progress: dict[str, str] = {}

    def changed(self, watched: Watched) -> None:
        """Print the new state."""
        if watched.process.state is State.FAILED:
            self._console.print("\n".join(failure_lines(watched)), markup=False)
        elif not self._only_failures:
            self._console.print(state_line(watched), markup=False)

    def refresh(self, services: Iterable[Watched]) -> None:
        """Print what a loading service logged newly."""
        for watched in () if self._only_failures else services:
            name = watched.process.launch.slot.name
            message = note(watched)
            if watched.process.state is State.LOADING and message and self._progress.get(name) != message:
                self._progress[name] = message
                self._console.print(f"{name}: {message}", markup=False)


class JsonView(_Plain):
    """A JSON line for each change of state."""

    def changed(self, watched: Watched) -> None:
        """Print the new state."""
        print_json(state_dict(watched))


class TableView:
    """One table that is drawn again twice a second."""

    def __init__(self, console: Console, title: str) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._console = console
        self._title = title

    def changed(self, watched: Watched) -> None:
        """Keep the end of a failed service's log above the table."""
        if watched.process.state is State.FAILED:
            self._live.console.print("\n".join(failure_lines(watched)), style="red", markup=False)

    def refresh(self, services: Iterable[Watched]) -> None:
        """Draw the table."""
        self._live.update(Group(table(services, self._title), "[dim]Ctrl-C stops all[/]"), refresh=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)


def table(services: Iterable[Watched], title: str) -> Table:
    """All services, a row each."""
    grid = Table(title=title, title_justify="left", box=SIMPLE)
    for heading in ("service", "state", "port", "model", "memory", "streams", "log"):
        grid.add_column(heading, justify="right" if heading in {"port", "memory", "streams"} else "left")
    for watched in services:
        state = watched.process.state
        launch = watched.process.launch
        model = watched.report.model if watched.report is not None else None
        grid.add_row(
            launch.slot.name,
            f"[{_STYLES[state]}]{_state_text(watched)}[/]",
            str(launch.port),
            "" if model is None else escape(model.model),
            f"{watched.memory_bytes / 1e6:.0f} MB" if watched.memory_bytes else "",
            "" if model is None else f"{model.active_streams}/{model.max_streams}",
            escape(note(watched)[:60]),
        )
    return grid


def state_line(watched: Watched) -> str:
    """A service's state in one line."""
    return f"{watched.process.launch.slot.name}: {_state_text(watched)} (port {watched.process.launch.port})"


def failure_lines(watched: Watched) -> list[str]:
    """Why a service failed: its exit code and the end of its log."""
    launch = watched.process.launch
    head = f"{launch.slot.name}: failed, exit code {watched.process.exit_code}; the end of {launch.log_path}:"
    return [head, *(f"  | {line}" for line in last_lines(launch.log_path, _TOLD_LINES))]


def state_dict(watched: Watched) -> dict[str, Any]:
    """A service's state for JSON."""
    process = watched.process
    state: dict[str, Any] = {
        "service": process.launch.slot.name,
        "state": process.state.value,
        "port": process.launch.port,
        "pid": process.pid,
        "restarts": process.restarts,
        "log": str(process.launch.log_path),
    }
    if process.state is State.FAILED:
        state["exit_code"] = process.exit_code
        state["last_log_lines"] = last_lines(process.launch.log_path, _TOLD_LINES)
    return state


def note(watched: Watched) -> str:
    """The newest log line of a service that does not serve yet; how often one that serves was restarted."""
    if watched.process.state in {State.STARTING, State.LOADING, State.RESTARTING, State.FAILED}:
        message = newest_message(watched.process.launch.log_path)
        return "" if message.startswith(_SAID_BY_STATE) else message
    return f"restarted {watched.process.restarts}x" if watched.process.restarts else ""


def _state_text(watched: Watched) -> str:
    process = watched.process
    if process.state is State.RESTARTING:
        return f"restarting ({process.restarts + 1} of 3), exit code {process.exit_code}"
    return process.state.value
