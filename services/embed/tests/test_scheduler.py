"""Steps are shared fairly, and what nobody waits for is not done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

import numpy as np
import pytest

from voxmesh_embed.engine import EngineInfo, Text, Vector
from voxmesh_embed.scheduler import Lane, Scheduler
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.thread import Completed

pytestmark = pytest.mark.unit


Results = Sequence[Vector | Exception]
Texts = Scheduler[Text, Vector]
Mine = Lane[Text, Vector]


class Model:
    """Records its steps; none ends before it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered = asyncio.Event()
        self.steps: list[list[str]] = []
        self.abandoned: list[list[str]] = []

    async def __call__(self, texts: Sequence[Text]) -> Completed[Results]:
        self.steps.append([text.content for text in texts])
        self.entered.set()
        await self.opened.wait()
        if any(text.content == "poison" for text in texts):
            raise ValueError("the model broke")
        return Completed([_result(text) for text in texts], time.time_ns(), 0.0, 0.0, 1)

    def abandon(self, texts: Sequence[Text]) -> None:
        """Nobody waits for these."""
        self.abandoned.append([text.content for text in texts])


def _result(text: Text) -> Vector | Exception:
    if text.content == "refused":
        return ValueError("this text alone")
    return Vector(np.full(1, len(text.content), np.float32), 1)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def scheduler(model: Model) -> AsyncGenerator[Texts]:
    """Steps of 40 tokens; 4 characters are a token, and each text has 2 tokens more."""
    scheduler = Texts(model, model.abandon)
    scheduler.fit(EngineInfo(ModelFacts("m", "l"), max_tokens=100, max_batch_tokens=40))
    running = asyncio.create_task(scheduler.run())
    yield scheduler
    running.cancel()
    await asyncio.wait([running])


async def begin(scheduler: Texts, lane: Mine, *texts: str) -> asyncio.Task[list[Vector]]:
    """Ask for vectors, and be in the queue when this returns."""
    task = asyncio.create_task(scheduler.work(lane, [Text(text) for text in texts], WorkClock.start()))
    await asyncio.sleep(0)
    return task


async def hold(scheduler: Texts, model: Model) -> asyncio.Task[list[Vector]]:
    """Keep the model busy, so that what comes next waits."""
    first = await begin(scheduler, Mine(), "first")
    await model.entered.wait()
    return first


async def test_every_stream_gets_its_place_in_a_step(scheduler: Texts, model: Model) -> None:
    held = await hold(scheduler, model)
    large = await begin(scheduler, Mine(), *(f"large {n}" * 6 for n in range(8)))
    small = await begin(scheduler, Mine(), "small")
    model.opened.set()
    await asyncio.gather(held, large, small)
    assert [text[:7] for text in model.steps[1]] == ["large 0", "small", "large 1", "large 2"]


async def test_a_short_text_goes_before_the_long_ones_that_came_first(scheduler: Texts, model: Model) -> None:
    held = await hold(scheduler, model)
    longs = [await begin(scheduler, Mine(), "x" * 100) for _ in range(4)]
    short = await begin(scheduler, Mine(), "short")
    model.opened.set()
    await asyncio.gather(held, short, *longs)
    assert model.steps[1] == ["x" * 100, "short"]


async def test_a_long_text_is_not_put_off_by_short_ones(scheduler: Texts, model: Model) -> None:
    held = await hold(scheduler, model)
    long = await begin(scheduler, Mine(), "x" * 1000)
    shorts = await begin(scheduler, Mine(), *["short"] * 40)
    model.opened.set()
    await asyncio.gather(held, long, shorts)
    assert model.steps[1] == ["x" * 1000]
    assert [len(step) for step in model.steps[2:]] == [13, 13, 13, 1]


async def test_texts_of_like_length_share_a_step(scheduler: Texts, model: Model) -> None:
    held = await hold(scheduler, model)
    mixed = await begin(scheduler, Mine(), *["x" * 68, "short"] * 4)
    model.opened.set()
    await asyncio.gather(held, mixed)
    assert [[len(text) for text in step] for step in model.steps[1:]] == [[5, 5, 5, 5, 68], [68, 68], [68]]


async def test_steps_go_on_at_once_where_the_model_takes_several(scheduler: Texts, model: Model) -> None:
    scheduler.fit(EngineInfo(ModelFacts("m", "l"), max_tokens=100, max_batch_tokens=40), steps_at_once=2)
    first, second, third = [await begin(scheduler, Mine(), text * 40) for text in "abc"]
    await asyncio.sleep(0)
    assert [step[0][0] for step in model.steps] == ["a", "b"]
    model.opened.set()
    await asyncio.gather(first, second, third)
    assert len(model.steps) == 3


async def test_a_text_that_fails_alone_fails_its_own_caller_only(scheduler: Texts, model: Model) -> None:
    held = await hold(scheduler, model)
    refused = await begin(scheduler, Mine(), "refused", "more")
    other = await begin(scheduler, Mine(), "fine")
    model.opened.set()
    await asyncio.gather(held, other)
    with pytest.raises(ValueError, match="alone"):
        await refused
    assert len(model.steps) == 2


async def test_results_come_in_the_order_of_the_items(scheduler: Texts, model: Model) -> None:
    model.opened.set()
    lane = Mine()
    tasks = [await begin(scheduler, lane, *("x" * n for n in range(1, 12))) for _ in range(3)]
    for vectors in await asyncio.gather(*tasks):
        assert [int(vector.values[0]) for vector in vectors] == list(range(1, 12))


async def test_texts_of_a_caller_that_is_gone_are_not_embedded(scheduler: Texts, model: Model) -> None:
    held = await hold(scheduler, model)
    gone = await begin(scheduler, Mine(), *["gone"] * 20)
    stays = await begin(scheduler, Mine(), "stays")
    gone.cancel()
    await asyncio.sleep(0)
    model.opened.set()
    await asyncio.gather(held, stays)
    assert model.steps == [["first"], ["stays"]]


async def test_a_step_in_progress_is_given_up_when_its_last_caller_is_gone(scheduler: Texts, model: Model) -> None:
    first = await begin(scheduler, Mine(), "first")
    await model.entered.wait()
    waiting = await begin(scheduler, Mine(), "one")
    also = await begin(scheduler, Mine(), "two")
    waiting.cancel()
    await asyncio.sleep(0)
    assert model.abandoned == []
    first.cancel()
    await asyncio.sleep(0)
    assert model.abandoned == [["first"]]
    model.opened.set()
    await also
    assert model.steps == [["first"], ["two"]]


async def test_a_step_that_fails_fails_its_own_callers_only(scheduler: Texts, model: Model) -> None:
    model.opened.set()
    broken = await begin(scheduler, Mine(), "poison", *["more"] * 20)
    with pytest.raises(ValueError, match="broke"):
        await broken
    after = await begin(scheduler, Mine(), "after")
    assert len(await after) == 1


async def test_the_clock_tells_the_wait_and_how_many_streams_shared_a_step(scheduler: Texts, model: Model) -> None:
    held = await hold(scheduler, model)
    clocks = [WorkClock.start() for _ in range(2)]
    tasks = [asyncio.create_task(scheduler.work(Mine(), [Text("x")], clock)) for clock in clocks]
    await asyncio.sleep(0.05)
    model.opened.set()
    await asyncio.gather(held, *tasks)
    assert all(clock.queued_s >= 0.04 for clock in clocks)
    assert all(clock.batch_size == 2 for clock in clocks)
