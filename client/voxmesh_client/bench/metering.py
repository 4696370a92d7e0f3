"""What a piece of work cost a server: time, CPU and memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from voxmesh_client.bench.processes import NOT_MEASURED, Memory, Watch
from voxmesh_client.bench.server import Server


@dataclass(slots=True)
class Cost:
    """Complete once the block is over."""

    taken_s: float = 0.0
    cpu_s: float | None = None
    """CPU time of the server and its children; None when it was not started here."""
    memory: Memory = NOT_MEASURED
    """The most that was seen."""


@asynccontextmanager
async def metered(server: Server) -> AsyncGenerator[Cost]:
    """Measure what the work of a block costs a server."""
    cost = Cost()
    watch = Watch(server.watch.pid)
    cpu_s, began = watch.cpu_s(), time.monotonic()
    async with watch.watching():
        yield cost
    cost.taken_s = time.monotonic() - began
    after_s = watch.cpu_s()
    cost.cpu_s = None if after_s is None or cpu_s is None else after_s - cpu_s
    await asyncio.to_thread(watch.look)
    cost.memory = await server.memory(watch.peak)
