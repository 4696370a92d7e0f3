"""Shares the model among streams: each step takes texts of all that wait, in turn.

A stream that brings 256 texts gets as many places in a step as the others leave free, so a
single text of another stream waits for the step in progress and no longer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from voxmesh_embed.engine import Text, Vector
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.thread import Completed

Step: TypeAlias = Callable[[Sequence[Text]], Awaitable[Completed[Sequence[Vector]]]]
"""Embeds 1 to `max_batch_size` texts."""


@dataclass(slots=True, eq=False)
class _Job:
    """One batch of a caller: its texts not yet begun, and the vectors so far by place."""

    texts: Sequence[Text]
    clock: WorkClock
    done: asyncio.Future[None]
    vectors: list[Vector | None]
    begun: int = 0
    finished: int = 0


@dataclass(slots=True, eq=False)
class Lane:
    """The batches of one stream that have texts not yet begun; the next in turn first."""

    jobs: deque[_Job] = field(default_factory=deque[_Job])


_Place = tuple[Lane, _Job, int]


class Scheduler:
    """Fills the steps of a model from the lanes of all streams; `run` must be running, as often as steps may at once.

    Every stream bounds the batches in its own lane, so all lanes together are bounded too.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._turns: deque[Lane] = deque()
        self._changed = asyncio.Event()
        self.max_batch_size = 1

    async def embed(self, lane: Lane, texts: Sequence[Text], clock: WorkClock) -> list[Vector]:
        """The vectors of one batch; a cancelled caller's texts are dropped if they have not begun."""
        job = _Job(texts, clock, asyncio.get_running_loop().create_future(), [None] * len(texts))
        if not lane.jobs:
            self._turns.append(lane)
        lane.jobs.append(job)
        self._changed.set()
        try:
            await job.done
        finally:
            self._drop(lane, job)
        return [vector for vector in job.vectors if vector is not None]

    async def run(self) -> None:
        """Step the model while texts wait, until cancelled."""
        while True:
            await self._changed.wait()
            step = self._next_step()
            if not step:
                self._changed.clear()
                continue
            await self._run_step(step)

    def _next_step(self) -> list[_Place]:
        """Take one text of each lane in turn until the step is full."""
        step: list[_Place] = []
        while self._turns and len(step) < self.max_batch_size:
            lane = self._turns.popleft()
            job = lane.jobs[0]
            step.append((lane, job, job.begun))
            job.begun += 1
            if job.begun == len(job.texts):
                lane.jobs.popleft()
            # The batches of one stream take turns too: the small one is answered first.
            lane.jobs.rotate(-1)
            if lane.jobs:
                self._turns.append(lane)
        return step

    async def _run_step(self, step: Sequence[_Place]) -> None:
        try:
            completed = await self._step([job.texts[place] for _, job, place in step])
        except Exception as error:  # noqa: BLE001 # the callers of this step get it; the others go on
            for job in {job for _, job, _ in step}:
                _fail(job, error)
            return
        for (_, job, place), vector in zip(step, completed.result, strict=True):
            job.vectors[place] = vector
            job.finished += 1
        streams = len({id(lane) for lane, _, _ in step})
        for job in {job for _, job, _ in step}:
            _advance(job, completed, streams)

    def _drop(self, lane: Lane, job: _Job) -> None:
        if job in lane.jobs:
            lane.jobs.remove(job)
            if not lane.jobs:
                self._turns.remove(lane)


def _advance(job: _Job, completed: Completed[Sequence[Vector]], streams: int) -> None:
    """Count a step that held texts of `job`; the last one answers it."""
    job.clock.worked(completed.started_ns, completed.compute_s, 0.0, streams)
    if job.finished == len(job.texts) and not job.done.done():
        waited_s = (time.time_ns() - job.clock.received_ns) / 1e9 - job.clock.compute_s
        job.clock.queued_s = max(0.0, waited_s)
        job.done.set_result(None)


def _fail(job: _Job, error: Exception) -> None:
    if not job.done.done():
        job.done.set_exception(error)
