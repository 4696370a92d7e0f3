"""One thread that owns a model: blocking calls of all streams run on it, gathered into batches."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from voxmesh_runtime.errors import Overloaded

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Completed(Generic[Out]):
    """What one call gave and what it cost."""

    result: Out
    started_ns: int
    """Wall-clock time the model began, in nanoseconds since the epoch."""
    compute_s: float
    queued_s: float
    batch_size: int


@dataclass(slots=True)
class _Job(Generic[In, Out]):
    item: In
    done: asyncio.Future[Completed[Out]]
    queued_at: float = field(default_factory=time.monotonic)


class Worker(Generic[In, Out]):
    """Runs `step` on a thread of its own, with as many waiting items as fit a batch.

    Args:
        step: takes 1 to `max_batch_size` items, returns one result an item, in order. An
            exception fails every item of the batch.
        max_batch_size: 1 for a model that does not batch.
        max_waiting: items that may wait; one more raises Overloaded.
        name: of the thread.
    """

    def __init__(
        self,
        step: Callable[[Sequence[In]], Sequence[Out]],
        *,
        name: str,
        max_batch_size: int = 1,
        max_waiting: int = 256,
    ) -> None:
        self._step = step
        self.max_batch_size = max_batch_size
        self._max_waiting = max_waiting
        self._waiting: deque[_Job[In, Out]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._busy = False

    async def run(self, item: In) -> Completed[Out]:
        """Give `item` to the model and wait for its result.

        A cancelled caller's item is dropped if it has not begun.

        Raises:
            Overloaded: too many items wait.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{self._max_waiting} requests already wait for the model; try again later")
        job = _Job[In, Out](item, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._start_next()
        return await job.done

    async def call(self, function: Callable[[], T]) -> T:
        """Run a blocking function between steps, such as loading the model."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def post(self, function: Callable[[], object]) -> None:
        """Run a function between steps without waiting for it, such as closing a session."""
        self._thread.submit(function)

    async def iterate(self, iterator: Iterator[T]) -> AsyncIterator[Completed[T]]:
        """Step a blocking iterator on the thread; other streams' work may run between its items."""
        loop = asyncio.get_running_loop()
        while True:
            queued_at = time.monotonic()
            step = await loop.run_in_executor(self._thread, _next_timed, iterator)
            if step is None:
                return
            result, started_ns, compute_s = step
            queued_s = max(0.0, time.monotonic() - queued_at - compute_s)
            yield Completed(result, started_ns, compute_s, queued_s, 1)

    async def close(self) -> None:
        """Fail what waits and end the thread after the step in progress."""
        while self._waiting:
            self._waiting.popleft().done.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    def _start_next(self) -> None:
        if self._busy:
            return
        batch: list[_Job[In, Out]] = []
        while self._waiting and len(batch) < self.max_batch_size:
            job = self._waiting.popleft()
            if not job.done.done():
                batch.append(job)
        if batch:
            self._busy = True
            future = asyncio.get_running_loop().run_in_executor(self._thread, self._run_batch, batch)
            future.add_done_callback(lambda done: self._finish(batch, done))

    def _run_batch(self, batch: list[_Job[In, Out]]) -> tuple[Sequence[Out], int, float, float]:
        started_ns, began = time.time_ns(), time.monotonic()
        results = self._step([job.item for job in batch])
        return results, started_ns, began, time.monotonic() - began

    def _finish(
        self,
        batch: list[_Job[In, Out]],
        done: asyncio.Future[tuple[Sequence[Out], int, float, float]],
    ) -> None:
        self._busy = False
        error = done.exception()
        if error is not None:
            for job in batch:
                if not job.done.done():
                    job.done.set_exception(error)
        else:
            results, started_ns, began, compute_s = done.result()
            for job, result in zip(batch, results, strict=True):
                if not job.done.done():
                    queued_s = max(0.0, began - job.queued_at)
                    job.done.set_result(Completed(result, started_ns, compute_s, queued_s, len(batch)))
        self._start_next()


def _next_timed(iterator: Iterator[T]) -> tuple[T, int, float] | None:
    started_ns, began = time.time_ns(), time.monotonic()
    for result in iterator:
        return result, started_ns, time.monotonic() - began
    return None
