"""Benchmark `memory`: what each service holds while nobody speaks, and what an idle conversation adds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, fields

from benchmarks.mesh import LocalMesh
from benchmarks.processes import Holding
from benchmarks.result import Result, Table
from benchmarks.speech import QUESTION, Question
from benchmarks.turn_mesh import MeshTurn
from voxmesh_client.asking import spoken_config

GOAL_MIB = 1.0
_SETTLE_S = 1.0
_RATE_HERTZ = 16_000

Snapshot = Mapping[str, Holding]


async def measure_memory(mesh: LocalMesh, *, streams: int = 50) -> Result:
    """Hold one spoken turn, look, then open `streams` idle conversations twice over."""
    await MeshTurn(mesh.client, Question.read(QUESTION)).run()
    async with _idle(mesh, 1):
        await asyncio.sleep(_SETTLE_S)
    warm = await _snapshot(mesh)
    async with _idle(mesh, streams):
        opened = await _snapshot(mesh)
    closed = await _snapshot(mesh)
    async with _idle(mesh, streams):
        again = await _snapshot(mesh)
    stages = {"warm": warm, "open": opened, "closed": closed, "open again": again}
    figures = {name: {process: asdict(held) for process, held in stage.items()} for name, stage in stages.items()}
    tables = [_services_table(warm), _streams_table(stages, streams)]
    return Result("memory", tables, {"streams": streams, "stages": figures})


@asynccontextmanager
async def _idle(mesh: LocalMesh, count: int) -> AsyncGenerator[None]:
    """Spoken conversations in which nobody speaks."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(mesh.client.conversation(spoken_config(_RATE_HERTZ)))
        yield


async def _snapshot(mesh: LocalMesh) -> Snapshot:
    await asyncio.sleep(_SETTLE_S)
    return {name: Holding.of(process) for name, process in mesh.processes().items()}


def _services_table(warm: Snapshot) -> Table:
    names = [field.name for field in fields(Holding)]
    rows = [(process, *(f"{getattr(held, name):.0f}" for name in names)) for process, held in warm.items()]
    total = ("total", *(f"{sum(getattr(held, name) for held in warm.values()):.0f}" for name in names))
    return Table(
        "memory: services after one spoken turn, idle",
        ("process", "RSS MiB", "PSS MiB", "USS MiB", "anonymous", "threads", "descriptors"),
        [*rows, total],
        ["PSS divides pages that processes share, so its total is what the mesh takes. llm/1 is llama.cpp."],
    )


def _streams_table(stages: Mapping[str, Snapshot], streams: int) -> Table:
    return Table(
        f"memory: {streams} idle spoken conversations, MiB of anonymous memory",
        ("process", *stages, "each, first", "each, again"),
        [_stream_row(process, stages, streams) for process in stages["warm"]],
        [
            (
                f"Goal: at most {GOAL_MIB:g} MiB each in the coordinator. `again` is what they add once the memory "
                "that the first ones left behind is used again."
            ),
        ],
    )


def _stream_row(process: str, stages: Mapping[str, Snapshot], streams: int) -> Sequence[str]:
    held = [stage[process].anonymous_mib for stage in stages.values()]
    warm, opened, closed, again = held
    added = ((opened - warm) / streams, (again - closed) / streams)
    return (process, *(f"{value:.1f}" for value in held), *(f"{value:.3f}" for value in added))
