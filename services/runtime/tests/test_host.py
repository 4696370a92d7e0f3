"""The owner of an engine: choice, threads, unload when idle, load on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from voxmesh_runtime.batcher import SomeFailed
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.engines import Candidate
from voxmesh_runtime.errors import FailedPrecondition, Unavailable
from voxmesh_runtime.host import EngineHost, State
from voxmesh_runtime.settings import EngineSettings
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.unit


@dataclass(frozen=True, slots=True)
class Info:
    """What a counter tells."""

    facts: ModelFacts
    max_batch_size: int = 1


class Counter:
    """Counts, and remembers on which thread what happened."""

    def __init__(self, *, parallel: int = 1, max_batch_size: int = 1, problem: Exception | None = None) -> None:
        self.info = Info(ModelFacts("counter", "MIT", parallel=parallel), max_batch_size)
        self.problem = problem
        self.log: list[str] = []
        self.threads: set[str] = set()
        self.steps: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def load(self) -> None:
        assert self.gate.wait(10)
        if self.problem is not None:
            raise self.problem
        self.log.append("load")

    def warm_up(self) -> None:
        self.log.append("warm_up")

    def close(self) -> None:
        self.log.append("close")

    def count(self, end: int) -> Iterator[int]:
        for number in range(end):
            self.threads.add(threading.current_thread().name)
            yield number

    def step(self, counts: Sequence[Iterator[int]]) -> Sequence[int | None]:
        assert self.gate.wait(10)
        self.steps.append(len(counts))
        results = [next(count, None) for count in counts]
        if 13 in results:
            raise SomeFailed([ValueError("unlucky") if result == 13 else result for result in results])
        return results


@asynccontextmanager
async def started(engine: Counter, unload_after_s: float | None = None) -> AsyncGenerator[EngineHost[Counter, Info]]:
    settings = EngineSettings(engine="counter", unload_after_s=unload_after_s)
    host = EngineHost[Counter, Info]("test", [Candidate("counter", "1.0", lambda: engine)], settings)
    try:
        await host.start()
        yield host
    finally:
        engine.gate.set()
        await host.stop()


async def counted(host: EngineHost[Counter, Info], begin: Callable[[], Iterator[int]]) -> list[int]:
    async with host.using() as stepper:
        return [step.result async for step in stepper.iterate(begin)]


async def test_an_engine_is_loaded_at_start_kept_and_freed_at_the_end() -> None:
    engine = Counter()
    async with started(engine) as host:
        assert await counted(host, lambda: engine.count(3)) == [0, 1, 2]
        assert (host.name, host.state) == ("counter", State.LOADED)
    assert engine.log == ["load", "warm_up", "close"]
    assert engine.threads == {"test"}


async def test_a_model_that_nobody_uses_is_unloaded_and_loaded_for_the_next_user() -> None:
    engine = Counter()
    async with started(engine, unload_after_s=0.01) as host:
        await wait_until(lambda: engine.log == ["load", "warm_up", "close"])
        assert host.state is State.UNLOADED
        assert host.info.facts.model == "counter"
        assert await counted(host, lambda: engine.count(1)) == [0]
        await wait_until(lambda: engine.log == ["load", "warm_up", "close"] * 2)
    assert engine.log == ["load", "warm_up", "close"] * 2


async def test_a_model_in_use_is_never_unloaded() -> None:
    engine = Counter()
    async with started(engine, unload_after_s=0.01) as host, host.using():
        await asyncio.sleep(0.05)
        assert host.state is State.LOADED


async def test_many_users_that_come_at_once_load_the_model_once() -> None:
    engine = Counter()
    async with started(engine, unload_after_s=0.01) as host:
        await wait_until(lambda: host.state is State.UNLOADED)
        assert await asyncio.gather(*(counted(host, lambda: engine.count(1)) for _ in range(10))) == [[0]] * 10
        assert engine.log.count("load") == 2


async def test_a_user_who_leaves_during_the_load_does_not_break_it_for_others() -> None:
    engine = Counter()
    async with started(engine, unload_after_s=0.01) as host:
        await wait_until(lambda: host.state is State.UNLOADED)
        engine.gate.clear()
        leaving = asyncio.create_task(counted(host, lambda: engine.count(1)))
        staying = asyncio.create_task(counted(host, lambda: engine.count(1)))
        await wait_until(lambda: host.state is State.LOADING)
        leaving.cancel()
        engine.gate.set()
        assert await staying == [0]


async def test_a_model_that_cannot_be_loaded_again_is_refused_and_tried_again() -> None:
    engine = Counter()
    async with started(engine, unload_after_s=0.01) as host:
        await wait_until(lambda: host.state is State.UNLOADED)
        engine.problem = MemoryError("none left")
        with pytest.raises(Unavailable, match="cannot be loaded again"):
            await counted(host, lambda: engine.count(1))
        engine.problem = None
        assert await counted(host, lambda: engine.count(1)) == [0]


async def test_a_first_load_that_fails_says_why() -> None:
    engine = Counter(problem=FailedPrecondition("model", "x", "there is no such model"))
    with pytest.raises(FailedPrecondition, match="no such model"):
        async with started(engine):
            pass
    assert engine.log == ["close"]


async def test_each_stream_of_a_parallel_engine_has_one_thread_up_to_so_many() -> None:
    engine = Counter(parallel=3)
    async with started(engine) as host:
        seen: list[set[str]] = []
        together = asyncio.Barrier(3)

        async def one() -> None:
            async with host.using() as stepper:
                await together.wait()
                names = [step.result async for step in stepper.iterate(_thread_names)]
                seen.append(set(names))

        await asyncio.gather(*(one() for _ in range(3)))
    assert all(len(names) == 1 for names in seen)
    assert len(set[str]().union(*seen)) == 3


def _thread_names() -> Iterator[str]:
    for _ in range(5):
        yield threading.current_thread().name


async def test_an_engine_that_batches_steps_several_streams_at_once() -> None:
    engine = Counter(max_batch_size=4)
    async with started(engine) as host:
        engine.gate.clear()
        ends = [0, 1, 5, 3, 2]
        counts = [asyncio.create_task(counted(host, lambda end=end: engine.count(end))) for end in ends]
        await asyncio.sleep(0.05)
        engine.gate.set()
        assert await asyncio.gather(*counts) == [list(range(end)) for end in ends]
    assert max(engine.steps) == 4


async def test_of_streams_that_are_stepped_together_one_may_fail_alone() -> None:
    engine = Counter(max_batch_size=4)

    def refused() -> Iterator[int]:
        raise ValueError("not begun")

    async with started(engine) as host:
        ends: list[Callable[[], Iterator[int]]] = [lambda: engine.count(20), lambda: engine.count(3), refused]
        results: list[Any] = await asyncio.gather(*(counted(host, each) for each in ends), return_exceptions=True)
    assert [str(results[0]), results[1], str(results[2])] == ["unlucky", [0, 1, 2], "not begun"]


class Slow:
    """An iterator whose step ends early when it is interrupted."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.left = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Slow:
        return self

    def __next__(self) -> int:
        self.begun.set()
        if self.left.wait(10):
            raise InterruptedError
        return 1

    def interrupt(self) -> None:
        self.left.set()

    def close(self) -> None:
        self.closed.set()


async def test_a_step_that_nobody_waits_for_is_interrupted_and_closed() -> None:
    engine, slow = Counter(), Slow()
    async with started(engine) as host:
        waiting = asyncio.create_task(counted(host, lambda: slow))
        await wait_until(slow.begun.is_set)
        waiting.cancel()
        await wait_until(slow.closed.is_set)
        assert await counted(host, lambda: engine.count(1)) == [0]
