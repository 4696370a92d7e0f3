"""The thread that owns a model: batches, cancellation, errors, order, limits, end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager

import pytest

from voxmesh_runtime.batcher import Batcher, SomeFailed
from voxmesh_runtime.errors import Overloaded, Unavailable
from voxmesh_runtime.stepper import Stepper
from voxmesh_runtime.thread import ModelThread
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.unit


class Model:
    """Doubles numbers, one batch each time it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.begun = threading.Event()

    def step(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.set()
        assert self.gate.wait(10)
        if -1 in items:
            raise ValueError("minus one")
        if -2 in items:
            raise SomeFailed([ValueError("minus two") if item == -2 else 2 * item for item in items])
        return [2 * item for item in items]


@asynccontextmanager
async def working(max_batch_size: int = 4, max_waiting: int = 8) -> AsyncGenerator[tuple[Batcher[int, int], Model]]:
    model = Model()
    thread = ModelThread("thread-under-test")
    batcher = Batcher[int, int](thread, model.step, max_batch_size=max_batch_size, max_waiting=max_waiting)
    try:
        yield batcher, model
    finally:
        model.gate.set()
        await thread.close()


async def busy(batcher: Batcher[int, int], model: Model, item: int = 0) -> asyncio.Task[object]:
    """Start a step that lasts until the gate opens."""
    task = asyncio.create_task(asyncio.wait_for(batcher.run(item), 10))
    await wait_until(model.begun.is_set)
    return task


async def queue(batcher: Batcher[int, int], *items: int) -> list[asyncio.Task[int]]:
    async def result(item: int) -> int:
        return (await batcher.run(item)).result

    tasks = [asyncio.create_task(result(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_what_waits_is_gathered_into_full_batches_in_order() -> None:
    async with working() as (batcher, model):
        first = await busy(batcher, model)
        tasks = await queue(batcher, 1, 2, 3, 4, 5)
        model.gate.set()
        assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10]
        await first
        assert model.batches == [[0], [1, 2, 3, 4], [5]]


async def test_what_arrives_while_a_call_runs_is_gathered_too() -> None:
    async with working() as (batcher, model):
        model.gate.set()
        entered, leave = threading.Event(), threading.Event()
        call = asyncio.create_task(batcher.thread.call(lambda: (entered.set(), leave.wait(10))))
        await wait_until(entered.is_set)
        tasks = await queue(batcher, 1) + await queue(batcher, 2, 3)
        leave.set()
        assert await asyncio.gather(*tasks) == [2, 4, 6]
        await call
        assert model.batches == [[1, 2, 3]]


async def test_the_cost_of_a_batch_is_told_with_each_result() -> None:
    async with working() as (batcher, model):
        first = await busy(batcher, model)
        waiting = [asyncio.create_task(batcher.run(item)) for item in (1, 2)]
        await asyncio.sleep(0.05)
        model.gate.set()
        done = await asyncio.gather(*waiting)
        await first
        assert [completed.batch_size for completed in done] == [2, 2]
        assert all(completed.queued_s >= 0.05 for completed in done)
        assert all(completed.compute_s < completed.queued_s for completed in done)


async def test_an_item_that_fails_alone_leaves_its_batch_unharmed() -> None:
    async with working() as (batcher, model):
        first = await busy(batcher, model)
        good, bad, also_good = await queue(batcher, 1, -2, 3)
        model.gate.set()
        assert (await good, await also_good) == (2, 6)
        with pytest.raises(ValueError, match="minus two"):
            await bad
        await first
        assert model.batches == [[0], [1, -2, 3]]


async def test_a_cancelled_item_never_reaches_the_model() -> None:
    async with working() as (batcher, model):
        first = await busy(batcher, model)
        tasks = await queue(batcher, 1, 2, 3)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        model.gate.set()
        assert await asyncio.gather(tasks[0], tasks[2]) == [2, 6]
        await first
        assert model.batches == [[0], [1, 3]]


async def test_cancelled_items_hold_no_room() -> None:
    async with working(max_waiting=2) as (batcher, model):
        first = await busy(batcher, model)
        gone = await queue(batcher, 1, 2)
        for task in gone:
            task.cancel()
        await asyncio.wait(gone)
        tasks = await queue(batcher, 3, 4)
        model.gate.set()
        assert await asyncio.gather(*tasks) == [6, 8]
        await first


async def test_one_item_too_many_is_refused_and_the_others_are_served() -> None:
    async with working(max_waiting=2) as (batcher, model):
        first = await busy(batcher, model)
        tasks = await queue(batcher, 1, 2)
        with pytest.raises(Overloaded):
            await batcher.run(3)
        model.gate.set()
        assert await asyncio.gather(*tasks) == [2, 4]
        await first


async def test_an_error_fails_its_batch_and_no_other() -> None:
    async with working(max_batch_size=2) as (batcher, model):
        first = await busy(batcher, model)
        tasks = await queue(batcher, 1, -1, 3, 4)
        model.gate.set()
        failed = await asyncio.gather(*tasks[:2], return_exceptions=True)
        assert [type(error) for error in failed] == [ValueError, ValueError]
        assert await asyncio.gather(*tasks[2:]) == [6, 8]
        await first


def too_few(_items: Sequence[int]) -> Sequence[int]:
    return []


def stop_iteration(_items: Sequence[int]) -> Sequence[int]:
    return next(iter(()))


@pytest.mark.parametrize("step", [too_few, stop_iteration])
async def test_a_model_that_breaks_its_word_fails_the_item_instead_of_hanging_it(
    step: Callable[[Sequence[int]], Sequence[int]],
) -> None:
    batcher = Batcher[int, int](ModelThread("liar"), step)
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(batcher.run(1), 5)
    await batcher.thread.close()


async def test_posted_functions_run_after_the_step_in_progress() -> None:
    async with working() as (batcher, model):
        order: list[str] = []
        first = await busy(batcher, model)
        batcher.thread.post(lambda: order.append(f"posted after {len(model.batches)}"))
        assert order == []
        model.gate.set()
        await first
        await batcher.thread.call(lambda: order.append("called"))
        assert order == ["posted after 1", "called"]


async def test_a_posted_function_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as (batcher, _):
        with caplog.at_level(logging.ERROR):
            batcher.thread.post(lambda: 1 / 0)
            await batcher.thread.call(lambda: None)
    assert "posted function failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_two_iterators_take_turns() -> None:
    async with working() as (batcher, _):
        order: list[str] = []
        stepper = Stepper(batcher.thread)

        async def consume(name: str) -> None:
            async for completed in stepper.iterate(lambda: iter(range(3))):
                order.append(f"{name}{completed.result}")  # noqa: PERF401 # an extend takes no turns

        await asyncio.gather(consume("a"), consume("b"))
        assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]


async def test_a_generator_that_is_left_is_closed_on_the_models_thread() -> None:
    async with working() as (batcher, _):
        closed_on: list[str] = []

        def numbers() -> Generator[int]:
            try:
                yield from range(1000)
            finally:
                closed_on.append(threading.current_thread().name)

        steps = Stepper(batcher.thread).iterate(numbers)
        await anext(steps)
        await steps.aclose()
        await batcher.thread.call(lambda: None)
        assert closed_on == ["thread-under-test"]


async def test_close_fails_what_waits_and_leaves_no_thread() -> None:
    before = threading.active_count()
    async with working() as (batcher, model):
        first = await busy(batcher, model)
        tasks = await queue(batcher, 1, 2)
        closing = asyncio.create_task(batcher.thread.close())
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in failed] == [Unavailable, Unavailable]
        assert not closing.done()
        model.gate.set()
        await closing
        await first
        assert model.batches == [[0]]
        with pytest.raises(Unavailable):
            await batcher.run(3)
        batcher.thread.post(lambda: pytest.fail("ran without its thread"))
    assert threading.active_count() == before


async def test_a_thread_that_did_nothing_has_no_thread_to_close() -> None:
    before = threading.active_count()
    thread = ModelThread("unused")
    assert threading.active_count() == before
    await thread.close()
    await thread.close()


async def test_an_idle_thread_keeps_nothing_of_its_last_item() -> None:
    class Session:
        pass

    batcher = Batcher[Session, None](ModelThread("idle"), lambda items: [None for _ in items])
    session = Session()
    gone = weakref.ref(session)
    await batcher.run(session)
    del session
    await batcher.thread.call(lambda: None)
    gc.collect()
    assert gone() is None
    await batcher.thread.close()


class Held:
    """Takes a while to open, and knows when it is closed."""

    opened = 0
    closed = 0

    def __init__(self) -> None:
        time.sleep(0.2)
        Held.opened += 1

    def close(self) -> None:
        Held.closed += 1


async def test_a_session_left_while_it_is_opened_is_closed_all_the_same() -> None:
    thread = ModelThread("held")

    async def hold() -> None:
        async with thread.holding(Held):
            await asyncio.sleep(10)

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0.05)
    holder.cancel()
    await asyncio.wait({holder})
    await thread.call(lambda: None)
    await thread.close()
    assert (Held.opened, Held.closed) == (1, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities of their own")
@pytest.mark.parametrize("more", [0, 9])
async def test_a_model_gives_way_to_its_process_however_nice_that_is(more: int) -> None:
    # No process is nicer than 19, which the tests themselves may come near.
    niceness = min(more, 18 - os.getpriority(os.PRIO_PROCESS, 0))
    if niceness < 0:
        pytest.skip("the tests run as nicely as can be")
    script = (
        "import os, threading; from voxmesh_runtime.thread import ModelThread;"
        "print(ModelThread('model').submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()"
        " - os.getpriority(os.PRIO_PROCESS, os.getpid()))"
    )
    command = ["nice", "-n", str(niceness), sys.executable, "-c", script]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert int(output) > 0
