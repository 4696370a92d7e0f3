"""A thread that runs blocking functions one after another and never holds up the end of the process."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from voxmesh_runtime.errors import Unavailable

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

    async def close(self) -> None:
        """Accept no more and wait until those accepted are done."""
        if self._thread is None or self.closed:
            self.closed = True
            return
        last = self.submit(lambda: None)
        self.closed = True
        self._calls.put(None)
        await asyncio.wrap_future(last)
        self._thread.join()

    def _run(self) -> None:
        give_way(self._niceness)
        while (call := self._calls.get()) is not None:
            _answer(*call)
            del call  # while the thread waits it must not keep a session alive


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
