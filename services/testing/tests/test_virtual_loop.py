"""Virtual time: waiting takes none, in order; what could not be waited for is an error."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from voxmesh_testing.virtual.loop import BEGIN_S, StandsStill, VirtualTimeLoop, virtual_clock

pytestmark = pytest.mark.virtual


async def test_an_hour_passes_at_once_by_both_clocks() -> None:
    clock, began_at = virtual_clock(), time.monotonic()
    now, wall_ns = clock.now(), clock.wall_ns()
    await asyncio.sleep(3600)
    assert clock.now() - now == pytest.approx(3600)
    assert clock.wall_ns() - wall_ns == pytest.approx(3600e9)
    assert time.monotonic() - began_at < 60


async def test_what_waits_goes_on_in_the_order_of_its_time() -> None:
    order: list[str] = []

    async def note(after_s: float, what: str) -> None:
        await asyncio.sleep(after_s)
        order.append(what)

    await asyncio.gather(note(0.3, "third"), note(0.1, "first"), note(0.2, "second"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await asyncio.Event().wait()
    assert order == ["first", "second", "third"]


async def test_no_timer_fires_before_its_time_by_however_little() -> None:
    loop = asyncio.get_running_loop()
    for number in range(2000):
        due, waits = loop.time() + number * 1e-11 + number % 7 / 3, 0
        while (wait_s := due - loop.time()) > 0:
            await asyncio.sleep(wait_s)
            waits += 1
        assert waits <= 2


async def test_what_is_ready_goes_before_time_passes() -> None:
    queue = asyncio.Queue[int](1)

    async def put() -> None:
        for number in range(100):
            await queue.put(number)

    task = asyncio.create_task(put())
    assert [await queue.get() for _ in range(100)] == list(range(100))
    await task
    assert asyncio.get_running_loop().time() == BEGIN_S


def test_a_test_that_waits_for_ever_is_told_who_waits() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    loop = VirtualTimeLoop()
    task = loop.create_task(wait(), name="the one who waits")
    with pytest.raises(StandsStill, match="the one who waits"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


async def test_a_thread_cannot_wake_the_loop() -> None:
    loop, errors = asyncio.get_running_loop(), list[Exception]()

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(lambda: None)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=wake)
    thread.start()
    thread.join()
    assert "thread" in str(errors[0])
    with pytest.raises(RuntimeError, match="needs a thread"):
        await asyncio.to_thread(time.monotonic)
