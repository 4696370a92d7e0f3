"""Gathers what the streams ask of a model into batches, and runs them on its thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from voxmesh_runtime.errors import Overloaded, Unavailable
from voxmesh_runtime.thread import Completed, ModelThread

In = TypeVar("In")
Out = TypeVar("Out")


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


class Batcher(Generic[In, Out]):
    """Runs `step` on a model's thread, with as many waiting items as fit a batch.

    Args:
        thread: of the model.
        step: takes 1 to `max_batch_size` items, returns one result an item, in order. An
            exception fails every item of the batch, and no other; `SomeFailed` says which.
        max_batch_size: 1 for a model that does not batch.
        max_waiting: items that may wait; one more raises Overloaded.
    """

    def __init__(
        self,
        thread: ModelThread,
        step: Callable[[Sequence[In]], Sequence[Out]],
        *,
        max_batch_size: int = 1,
        max_waiting: int = 256,
    ) -> None:
        self.thread = thread
        self.max_batch_size = max_batch_size
        self._step = step
        self._max_waiting = max_waiting
        self._waiting: deque[_Job[In, Out]] = deque()
        self._batch: list[_Job[In, Out]] = []
        # The loop adds and removes, the thread gathers.
        self._gathering = threading.Lock()
        self._busy = False
        thread.on_close(self._refuse_waiting)

    async def run(self, item: In) -> Completed[Out]:
        """Give `item` to the model and wait for its result.

        A cancelled caller's item is dropped if it has not begun.

        Raises:
            Overloaded: too many items wait.
            Unavailable: the thread is closed.
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

    def _refuse_waiting(self) -> None:
        with self._gathering:
            waiting = list(self._waiting)
            self._waiting.clear()
        for job in waiting:
            if not job.done.done():
                job.done.set_exception(Unavailable("the service is stopping; use another one"))

    def _forget(self, job: _Job[In, Out]) -> None:
        with self._gathering:
            if job in self._waiting:
                self._waiting.remove(job)

    def _start_next(self) -> None:
        if self._busy or not self._waiting:
            return
        step = asyncio.wrap_future(self.thread.submit(self._run_batch))
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
                _answer(job, done.result(), index, len(batch))
        if not self.thread.closed:
            self._start_next()


def _answer(job: _Job[In, Out], step: _Step[Out], index: int, batch_size: int) -> None:
    result = step.results[index]
    if isinstance(result, Exception):
        job.done.set_exception(result)
    else:
        queued_s = max(0.0, step.began - job.queued_at)
        job.done.set_result(Completed(result, step.started_ns, step.compute_s, queued_s, batch_size))
