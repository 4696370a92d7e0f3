"""A model's thread: it runs blocking functions one after another and never holds up the end of the process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from voxmesh_runtime.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

NICENESS = 5
"""How far a model gives way to the event loops of its host."""
EAGER_NICENESS = 1
"""The same of a model whose answer the other models of a turn wait for."""
PATIENT_NICENESS = 15
"""The same of one whose answer can wait for theirs."""


def give_way(niceness: int = NICENESS) -> None:
    """Let event loops run before this thread, where threads have priorities of their own.

    Passing on a frame takes microseconds, a step of a model far longer; on busy cores frames would wait for it.
    """
    if sys.platform == "linux":
        # A process that was started to give way itself may not take that back.
        own = os.getpriority(os.PRIO_PROCESS, os.getpid())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), own + niceness)


@dataclass(frozen=True, slots=True)
class Completed(Generic[T]):
    """What one call gave and what it cost."""

    result: T
    started_ns: int
    """Wall-clock time the model began, in nanoseconds since the epoch."""
    compute_s: float
    queued_s: float
    batch_size: int


class Closable(Protocol):
    """What is freed by `close`."""

    def close(self) -> None:
        """Free it."""
        ...


SessionT = TypeVar("SessionT", bound=Closable)


class ModelThread:
    """Starts with its first function.

    An executor's threads are joined at the interpreter's end, so that a model that loads for a
    minute would hold up a Ctrl-C for a minute; this one is a daemon.

    Args:
        name: of the thread.
        niceness: how far it gives way.
    """

    def __init__(self, name: str, niceness: int = NICENESS) -> None:
        self._name = name
        self._niceness = niceness
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._on_close: list[Callable[[], None]] = []
        self.closed = False

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Run `function` after those before it; the future can be cancelled until it begins.

        Raises:
            Unavailable: the thread is closed.
        """
        if self.closed:
            raise Unavailable("the service is stopping; use another one")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future = Future[T]()
        self._calls.put((future, function))
        return future

    async def call(self, function: Callable[[], T]) -> T:
        """Run `function` and wait for its result."""
        return await asyncio.wrap_future(self.submit(function))

    async def timed(self, function: Callable[[], T]) -> Completed[T]:
        """Run `function`, and tell what it cost."""
        return await self.call(_Timed(function))

    def post(self, function: Callable[[], object]) -> None:
        """Run `function` without waiting for it, such as closing a session.

        Once the thread is closed the model is gone and there is nothing left to run it on.
        """
        if not self.closed:
            self.submit(function).add_done_callback(_log_failure)

    @asynccontextmanager
    async def holding(self, open_session: Callable[[], SessionT]) -> AsyncGenerator[SessionT]:
        """A session for the time of a block: opened and closed on the thread, whenever the caller leaves."""
        opening = self.submit(open_session)
        try:
            yield await asyncio.wrap_future(opening)
        finally:
            # Left while it was being opened, it is closed as soon as it is open.
            opening.add_done_callback(self._close_session)

    def on_close(self, function: Callable[[], None]) -> None:
        """Call `function` as soon as the thread is asked to close."""
        self._on_close.append(function)

    async def close(self) -> None:
        """Accept no more and wait until those accepted are done.

        The thread does not hold up the process if the caller gives up waiting.
        """
        for function in self._on_close:
            function()
        if self._thread is None or self.closed:
            self.closed = True
            return
        last = self.submit(lambda: None)
        self.closed = True
        self._calls.put(None)
        await asyncio.wrap_future(last)
        self._thread.join()

    def _close_session(self, opening: Future[SessionT]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self.post(opening.result().close)

    def _run(self) -> None:
        give_way(self._niceness)
        while (call := self._calls.get()) is not None:
            _answer(*call)
            del call  # while the thread waits it must not keep a session alive


class _Timed(Generic[T]):
    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._queued_at = time.monotonic()

    def __call__(self) -> Completed[T]:
        started_ns, began = time.time_ns(), time.monotonic()
        result = self._function()
        return Completed(result, started_ns, time.monotonic() - began, began - self._queued_at, 1)


def _log_failure(done: Future[Any]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        log.error("posted function failed", exc_info=error)


def _answer(future: Future[T], function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except StopIteration as error:
        # asyncio refuses this one, and whoever waits would wait for ever.
        future.set_exception(RuntimeError(f"the function raised {error!r}"))
    except BaseException as error:  # noqa: BLE001 # raised again where the result is awaited
        future.set_exception(error)
    else:
        future.set_result(result)
