"""An event loop whose clock jumps to the next timer when nothing is ready: waiting takes no time, in order.

It is for what rests on asyncio alone. A thread that wakes the loop, or a task that waits for what nobody in the loop
will do, is an error at once: jumping past either would make a test's outcome a matter of luck.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any, NoReturn

import pytest

from voxmesh_runtime.clock import Clock

EPOCH_NS = 1_800_000_000_000_000_000
"""Wall-clock time at the loop's second 0, in nanoseconds since the epoch."""
BEGIN_S = 10_000.0
"""Where the loop's clock begins: like a host's, not at 0."""


class StandsStill(RuntimeError):
    """Everything waits, and nothing is scheduled that could go on; the message names who waits where."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own, in whole microseconds.

    No timer fires before its time, by however little: who waits for the rest would wait for ever at one moment.
    """

    def __init__(self) -> None:
        self._now_us = round(BEGIN_S * 1e6)
        self._owner = threading.get_ident()
        super().__init__(_JumpingSelector(self._jump))

    def time(self) -> float:
        """The loop's clock in seconds, which only `_jump` moves."""
        return self._now_us / 1e6

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As of any loop, at the next whole microsecond."""
        microseconds = math.ceil(when * 1e6)
        # The product may have been rounded down.
        microseconds += microseconds / 1e6 < when
        return super().call_at(microseconds / 1e6, callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As of any loop, but for its own thread alone."""
        if threading.get_ident() != self._owner:
            raise RuntimeError("a thread wakes a loop in virtual time; use a real loop, or a fake without threads")
        return super().call_soon_threadsafe(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:
        """Nothing runs beside this loop."""
        del executor, args
        raise RuntimeError(f"{func!r} needs a thread, and a loop in virtual time waits for none")

    def _jump(self, timeout_s: float | None) -> None:
        if timeout_s is None:
            waiting = "\n".join(f"  {task.get_name()}: {task.get_stack(limit=1)}" for task in asyncio.all_tasks(self))
            raise StandsStill(f"nothing is scheduled, and these tasks wait for ever:\n{waiting}")
        self._now_us += max(1, round(timeout_s * 1e6))


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits; `jump` gets the time that would have passed."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        super().__init__()
        self._jump_by = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; where nothing is, the time jumps."""
        ready = super().select(0)
        if not ready and timeout != 0:
            self._jump_by(timeout)
        return ready


def virtual_clock() -> Clock:
    """The running loop's clock, with a wall clock that goes with it."""
    loop = asyncio.get_running_loop()
    return Clock(now=loop.time, wall_ns=lambda: EPOCH_NS + round(loop.time() * 1e9))


def loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of a test, for pytest_asyncio_loop_factories: a virtual one for tests marked `virtual`."""
    if item.get_closest_marker("virtual") is not None:
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}
