"""Target after target, each alone on the machine; one that does not serve is told in its outcome."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Protocol

from voxmesh_client.bench.findings import TargetOutcome
from voxmesh_client.bench.server import Limits, NotLoaded, Server, serving
from voxmesh_client.bench.targets import Target


class View(Protocol):
    """Shows how far a run is."""

    def step(
        self, title: str, amount: float, unit: str = "s of audio"
    ) -> AbstractContextManager[Callable[[float], None]]:
        """A step over that much work, for the time of a block; gives what takes how much is done."""
        ...


def counter(show: Callable[[float], None]) -> Callable[[], None]:
    """What counts pieces of work, each time it is called, for a step of a view."""
    numbers = count(1)
    return lambda: show(next(numbers))


async def measure_target(
    outcome: TargetOutcome,
    target: Target,
    limits: Limits,
    view: View,
    work: Callable[[Server], Awaitable[None]],
) -> None:
    """Have a target serve, tell its model in the outcome, and do the work with it.

    Raises:
        BenchUsage: its interpreter is missing.
    """
    try:
        async with _shown_loading(target, limits, view) as server:
            outcome.model, outcome.load_s = server.model, server.load_s
            await work(server)
    except NotLoaded as problem:
        outcome.problem = str(problem)


@asynccontextmanager
async def _shown_loading(target: Target, limits: Limits, view: View) -> AsyncGenerator[Server]:
    async with AsyncExitStack() as stack:
        with view.step(f"{target.name}: load", 0):
            server = await stack.enter_async_context(serving(target, limits))
        yield server
