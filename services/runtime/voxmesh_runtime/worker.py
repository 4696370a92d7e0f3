"""One thread that owns a model: blocking calls of all streams run on it, gathered into batches."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from voxmesh_runtime.errors import Overloaded, Unavailable
from voxmesh_runtime.thread import NICENESS, ModelThread

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")


class Closable(Protocol):
    """What is freed by `close`."""

    def close(self) -> None:
        """Free it."""
        ...


class Model(Closable, Protocol):
    """What every slot's engine has."""

    def load(self) -> None:
        """Fetch and load it."""
        ...

    def warm_up(self) -> None:
        """Run once, so that the first caller does not pay for it."""
        ...


SessionT = TypeVar("SessionT", bound=Closable)


@dataclass(frozen=True, slots=True)
class Completed(Generic[Out]):
    """What one call gave and what it cost."""

    result: Out
    started_ns: int
    """Wall-clock time the model began, in nanoseconds since the epoch."""
    compute_s: float
    queued_s: float
    batch_size: int


@dataclass(slots=True, eq=False)
class _Job(Generic[In, Out]):
    item: In
    done: asyncio.Future[Completed[Out]]
    queued_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Step(Generic[Out]):
    results: Sequence[Out]
    started_ns: int
    began: float
    compute_s: float


class SomeFailed(Exception):
    """Raised by a step of which some items failed and others did not, as when each is a request of its own.

    Args:
        results: one an item, in order; an exception where there is no result.
    """

    def __init__(self, results: Sequence[Any]) -> None:
        super().__init__("some items of the batch failed")
        self.results = results


class Worker(Generic[In, Out]):
    """Runs `step` on a thread of its own, with as many waiting items as fit a batch.

    Args:
        step: takes 1 to `max_batch_size` items, returns one result an item, in order. An
            exception fails every item of the batch, and no other; `SomeFailed` says which.
        max_batch_size: 1 for a model that does not batch.
        max_waiting: items that may wait; one more raises Overloaded.
        name: of the thread.
        niceness: how far the model gives way to others of the host.
    """

    def __init__(
        self,
        step: Callable[[Sequence[In]], Sequence[Out]],
        *,
        name: str,
        niceness: int = NICENESS,
        max_batch_size: int = 1,
        max_waiting: int = 256,
    ) -> None:
        self._step = step
        self.max_batch_size = max_batch_size
        self._max_waiting = max_waiting
        self._waiting: deque[_Job[In, Out]] = deque()
        self._batch: list[_Job[In, Out]] = []
        # The loop adds and removes, the thread gathers.
        self._gathering = threading.Lock()
        self._thread = ModelThread(name, niceness)
        self._busy = False

    async def run(self, item: In) -> Completed[Out]:
        """Give `item` to the model and wait for its result.

        A cancelled caller's item is dropped if it has not begun.

        Raises:
            Overloaded: too many items wait.
            Unavailable: the worker is closed.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{self._max_waiting} requests already wait for the model; try again later")
        job = _Job[In, Out](item, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        try:
            self._start_next()
            return await job.done
        except (asyncio.CancelledError, Unavailable):
            self._forget(job)
            raise

    async def load(self, model: Model) -> None:
        """Load and warm up the model that the thread is to own."""
        await self.call(model.load)
        await self.call(model.warm_up)

    async def free(self, model: Model) -> None:
        """Free the model after the step in progress and end the thread; see `close`."""
        self.post(model.close)
        await self.close()

    async def call(self, function: Callable[[], T]) -> T:
        """Run a blocking function between steps, such as loading the model."""
        return await self._thread.call(function)

    def post(self, function: Callable[[], object]) -> None:
        """Run a function between steps without waiting for it, such as closing a session.

        Once the worker is closed the model is gone and there is nothing left to run it on.
        """
        if not self._thread.closed:
            self._thread.submit(function).add_done_callback(_log_failure)

    @asynccontextmanager
    async def holding(self, open_session: Callable[[], SessionT]) -> AsyncGenerator[SessionT]:
        """A session for the time of a block: opened and closed on the thread, whenever the caller leaves."""
        opening = self._thread.submit(open_session)
        try:
            yield await asyncio.wrap_future(opening)
        finally:
            # Left while it was being opened, it is closed as soon as it is open.
            opening.add_done_callback(self._close_session)

    def _close_session(self, opening: Future[SessionT]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self.post(opening.result().close)

    async def iterate(self, iterator: Iterator[T]) -> AsyncGenerator[Completed[T]]:
        """Step a blocking iterator on the thread; other streams' work may run between its items.

        A generator that is left before its end is closed on the thread.
        """
        try:
            while (step := await self._thread.call(_Next(iterator))) is not None:
                yield step
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                self.post(close)

    async def close(self) -> None:
        """Fail what waits and end the thread after the step in progress.

        The thread does not hold up the process if the caller gives up waiting.
        """
        with self._gathering:
            waiting = list(self._waiting)
            self._waiting.clear()
        for job in waiting:
            if not job.done.done():
                job.done.set_exception(Unavailable("the service is stopping; use another one"))
        await self._thread.close()

    def _forget(self, job: _Job[In, Out]) -> None:
        with self._gathering:
            if job in self._waiting:
                self._waiting.remove(job)

    def _start_next(self) -> None:
        if self._busy or not self._waiting:
            return
        step = asyncio.wrap_future(self._thread.submit(self._run_batch))
        self._busy = True
        step.add_done_callback(self._finish)

    def _run_batch(self) -> _Step[Out]:
        # Gathered now and not when it was asked for: more may wait since, or have gone.
        with self._gathering:
            count = min(len(self._waiting), self.max_batch_size)
            self._batch = [self._waiting.popleft() for _ in range(count)]
        started_ns, began = time.time_ns(), time.monotonic()
        try:
            results = self._step([job.item for job in self._batch]) if self._batch else ()
        except SomeFailed as failed:
            results = failed.results
        if len(results) != count:
            raise RuntimeError(f"the model gave {len(results)} results for {count} items")
        return _Step(results, started_ns, began, time.monotonic() - began)

    def _finish(self, done: asyncio.Future[_Step[Out]]) -> None:
        batch, self._batch, self._busy = self._batch, [], False
        error = done.exception()
        for index, job in enumerate(batch):
            if job.done.done():
                continue
            if error is not None:
                job.done.set_exception(error)
            else:
                step = done.result()
                result = step.results[index]
                if isinstance(result, Exception):
                    job.done.set_exception(result)
                    continue
                queued_s = max(0.0, step.began - job.queued_at)
                cost = (step.started_ns, step.compute_s, queued_s, len(batch))
                job.done.set_result(Completed(result, *cost))
        if not self._thread.closed:
            self._start_next()


class _Next(Generic[T]):
    """One timed step of an iterator; None at its end."""

    def __init__(self, iterator: Iterator[T]) -> None:
        self._iterator = iterator
        self._queued_at = time.monotonic()

    def __call__(self) -> Completed[T] | None:
        started_ns, began = time.time_ns(), time.monotonic()
        for result in self._iterator:
            return Completed(result, started_ns, time.monotonic() - began, began - self._queued_at, 1)
        return None


def _log_failure(done: Future[Any]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        log.error("posted function failed", exc_info=error)
