"""Shares the model among streams: each step takes items of all that wait, in turn, up to a number of tokens.

A stream that brings 256 texts gets what the others leave free of a step. Whoever waits longest
goes first whatever its length, and then the shortest: a short text of another stream waits for
the step in progress and no longer. An item is a text to embed, or a query with a document.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from voxmesh_embed.engine import EngineInfo
from voxmesh_embed.lengths import guessed_tokens
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.thread import Completed


class Item(Protocol):
    """What the model works on."""

    @property
    def parts(self) -> tuple[str, ...]:
        """All that it reads."""
        ...


InT = TypeVar("InT", bound=Item)
OutT = TypeVar("OutT")

Step: TypeAlias = "Callable[[Sequence[InT]], Awaitable[Completed[Sequence[OutT | Exception]]]]"
"""Runs the model on items of several streams; an item that failed has an exception in place of its result."""


@dataclass(slots=True, eq=False)
class _Job(Generic[InT, OutT]):
    """One request of a caller: its items not yet begun, and the results so far by place."""

    items: Sequence[InT]
    tokens: Sequence[int]
    """About, of each item."""
    clock: WorkClock
    done: asyncio.Future[None]
    waiting: deque[int]
    """Places not yet begun, the shortest items first, so that those of a step are of like length."""
    results: list[OutT | None]
    finished: int = 0


@dataclass(slots=True, eq=False)
class Lane(Generic[InT, OutT]):
    """The requests of one stream that have items not yet begun; the next in turn first."""

    jobs: deque[_Job[InT, OutT]] = field(default_factory=deque[_Job[InT, OutT]])

    @property
    def next_tokens(self) -> int:
        """What the next item costs."""
        job = self.jobs[0]
        return job.tokens[job.waiting[0]]


class Scheduler(Generic[InT, OutT]):
    """Fills the steps of a model from the lanes of all streams; `run` must be running.

    Every stream bounds the requests in its own lane, so all lanes together are bounded too.

    Args:
        step: runs the model.
        abandon: is told of a step in progress whose callers have all gone, by the list that it was given.
    """

    def __init__(self, step: Step[InT, OutT], abandon: Callable[[Sequence[InT]], None]) -> None:
        self._step = step
        self._abandon = abandon
        self._turns: deque[Lane[InT, OutT]] = deque()
        self._changed = asyncio.Event()
        self._steps_at_once = 1
        self._under_way: list[_Step[InT, OutT]] = []
        self._max_tokens = 1
        self._tokens_around = 0
        self._max_batch_tokens = 1

    def fit(self, info: EngineInfo, steps_at_once: int = 1) -> None:
        """Fill steps as the loaded model wants them."""
        self._max_tokens, self._tokens_around = info.max_tokens, info.tokens_around
        self._max_batch_tokens = info.max_batch_tokens
        self._steps_at_once = steps_at_once

    async def work(self, lane: Lane[InT, OutT], items: Sequence[InT], clock: WorkClock) -> list[OutT]:
        """The results of one request, in order; a cancelled caller's items are dropped if they have not begun."""
        job = self._job(items, clock)
        if not lane.jobs:
            self._turns.append(lane)
        lane.jobs.append(job)
        self._changed.set()
        try:
            await job.done
        finally:
            self._drop(lane, job)
        return [result for result in job.results if result is not None]

    async def run(self) -> None:
        """Step the model while items wait, until cancelled."""
        async with asyncio.TaskGroup() as steps:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while len(self._under_way) < self._steps_at_once and (places := self._next_places()):
                    step = _Step(places, [place.job.items[place.index] for place in places])
                    self._under_way.append(step)
                    steps.create_task(self._run_step(step))

    def _job(self, items: Sequence[InT], clock: WorkClock) -> _Job[InT, OutT]:
        tokens = [self._tokens_around + guessed_tokens(item.parts, self._max_tokens) for item in items]
        shortest_first = deque(sorted(range(len(items)), key=tokens.__getitem__))
        done = asyncio.get_running_loop().create_future()
        return _Job[InT, OutT](items, tokens, clock, done, shortest_first, [None] * len(items))

    def _next_places(self) -> list[_Place[InT, OutT]]:
        """Take one item of each lane in turn until the step is full; at least one, however long it is."""
        if not self._turns:
            return []
        left = self._max_batch_tokens - self._turns[0].next_tokens
        step = [self._take(self._turns[0])]
        while fitting := [lane for lane in self._turns if lane.next_tokens <= left]:
            for lane in sorted(fitting, key=lambda lane: lane.next_tokens):
                if lane.next_tokens > left:
                    break
                left -= lane.next_tokens
                step.append(self._take(lane))
        return step

    def _take(self, lane: Lane[InT, OutT]) -> _Place[InT, OutT]:
        job = lane.jobs[0]
        place = job.waiting.popleft()
        if not job.waiting:
            lane.jobs.popleft()
        # The requests of one stream take turns too: the small one is answered first.
        else:
            lane.jobs.rotate(-1)
        self._turns.remove(lane)
        if lane.jobs:
            self._turns.append(lane)
        return _Place(lane, job, place)

    async def _run_step(self, step: _Step[InT, OutT]) -> None:
        try:
            _finish(step.places, await self._step(step.items))
        except Exception as error:  # noqa: BLE001 # the callers of this step get it; the others go on
            for place in step.places:
                _fail(place.job, error)
        finally:
            self._under_way.remove(step)
            self._changed.set()

    def _drop(self, lane: Lane[InT, OutT], job: _Job[InT, OutT]) -> None:
        if job in lane.jobs:
            lane.jobs.remove(job)
            if not lane.jobs:
                self._turns.remove(lane)
        for step in self._under_way:
            if step.is_of(job) and step.is_abandoned:
                self._abandon(step.items)


@dataclass(frozen=True, slots=True, eq=False)
class _Place(Generic[InT, OutT]):
    """An item in a step."""

    lane: Lane[InT, OutT]
    job: _Job[InT, OutT]
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class _Step(Generic[InT, OutT]):
    """What the model works on."""

    places: Sequence[_Place[InT, OutT]]
    items: Sequence[InT]

    def is_of(self, job: _Job[InT, OutT]) -> bool:
        """Items of `job` are in it."""
        return any(place.job is job for place in self.places)

    @property
    def is_abandoned(self) -> bool:
        """Nobody waits for any of it."""
        return all(place.job.done.done() for place in self.places)


def _finish(places: Sequence[_Place[InT, OutT]], completed: Completed[Sequence[OutT | Exception]]) -> None:
    """Give the results of a step to their jobs."""
    for place, result in zip(places, completed.result, strict=True):
        if isinstance(result, Exception):
            _fail(place.job, result)
        else:
            place.job.results[place.index] = result
            place.job.finished += 1
    streams = len({id(place.lane) for place in places})
    for job in {place.job for place in places}:
        _advance(job, completed, streams)


def _advance(job: _Job[InT, OutT], completed: Completed[Sequence[OutT | Exception]], streams: int) -> None:
    """Count a step that held items of `job`; the last one answers it."""
    job.clock.worked(completed.started_ns, completed.compute_s, 0.0, streams)
    if job.finished == len(job.items) and not job.done.done():
        waited_s = (time.time_ns() - job.clock.received_ns) / 1e9 - job.clock.compute_s
        job.clock.queued_s = max(0.0, waited_s)
        job.done.set_result(None)


def _fail(job: _Job[InT, OutT], error: Exception) -> None:
    if not job.done.done():
        job.done.set_exception(error)
