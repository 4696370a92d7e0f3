"""Steps are shared fairly, and what nobody waits for is not done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence

import numpy as np
import pytest

from voxmesh_embed.engine import Text, Vector
from voxmesh_embed.scheduler import Lane, Scheduler
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.thread import ModelThread
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.unit


class Model:
    """Records its steps; the first one waits until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.steps: list[list[str]] = []

    def __call__(self, texts: Sequence[Text]) -> list[Vector]:
        self.entered.set()
        assert self.opened.wait(10)
        self.steps.append([text.content for text in texts])
        if any(text.content == "poison" for text in texts):
            raise ValueError("the model broke")
        return [Vector(np.full(1, len(text.content), np.float32), 1) for text in texts]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def scheduler(model: Model) -> AsyncGenerator[Scheduler]:
    thread = ModelThread("test")
    scheduler = Scheduler(lambda texts: thread.timed(lambda: model(texts)))
    scheduler.max_batch_size = 4
    running = asyncio.create_task(scheduler.run())
    yield scheduler
    running.cancel()
    model.opened.set()
    await thread.close()


async def begin(scheduler: Scheduler, lane: Lane, *texts: str) -> asyncio.Task[list[Vector]]:
    """Ask for vectors, and be in the queue when this returns."""
    task = asyncio.create_task(scheduler.embed(lane, [Text(text) for text in texts], WorkClock.start()))
    await asyncio.sleep(0)
    return task


async def hold(scheduler: Scheduler, model: Model) -> asyncio.Task[list[Vector]]:
    """Keep the model busy, so that what comes next waits."""
    first = await begin(scheduler, Lane(), "first")
    await wait_until(model.entered.is_set)
    return first


async def test_every_stream_gets_its_place_in_a_step(scheduler: Scheduler, model: Model) -> None:
    held = await hold(scheduler, model)
    large = await begin(scheduler, Lane(), *(f"large {n}" for n in range(8)))
    small = await begin(scheduler, Lane(), "small")
    model.opened.set()
    await asyncio.gather(held, large, small)
    assert model.steps[1] == ["large 0", "small", "large 1", "large 2"]


async def test_vectors_come_in_the_order_of_the_texts(scheduler: Scheduler, model: Model) -> None:
    model.opened.set()
    lane = Lane()
    tasks = [await begin(scheduler, lane, *("x" * n for n in range(1, 12))) for _ in range(3)]
    for vectors in await asyncio.gather(*tasks):
        assert [int(vector.values[0]) for vector in vectors] == list(range(1, 12))


async def test_texts_of_a_caller_that_is_gone_are_not_embedded(scheduler: Scheduler, model: Model) -> None:
    held = await hold(scheduler, model)
    gone = await begin(scheduler, Lane(), *["gone"] * 20)
    stays = await begin(scheduler, Lane(), "stays")
    gone.cancel()
    await asyncio.sleep(0)
    model.opened.set()
    await asyncio.gather(held, stays)
    assert model.steps == [["first"], ["stays"]]


async def test_a_step_that_fails_fails_its_own_callers_only(scheduler: Scheduler, model: Model) -> None:
    model.opened.set()
    broken = await begin(scheduler, Lane(), "poison", *["more"] * 20)
    with pytest.raises(ValueError, match="broke"):
        await broken
    after = await begin(scheduler, Lane(), "after")
    assert len(await after) == 1


async def test_the_clock_tells_the_wait_and_how_many_streams_shared_a_step(scheduler: Scheduler, model: Model) -> None:
    held = await hold(scheduler, model)
    clocks = [WorkClock.start() for _ in range(2)]
    tasks = [asyncio.create_task(scheduler.embed(Lane(), [Text("x")], clock)) for clock in clocks]
    await asyncio.sleep(0.05)
    model.opened.set()
    await asyncio.gather(held, *tasks)
    assert all(clock.queued_s >= 0.05 for clock in clocks)
    assert all(clock.batch_size == 2 for clock in clocks)
