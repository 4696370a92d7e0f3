"""Benchmark `relay`: CPU time of a server for one 20 ms frame, against a bare grpc.aio echo."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import psutil

from benchmarks.figures import Spread
from benchmarks.mesh import SPOKEN, LocalMesh, running_mesh
from benchmarks.relay_load import ACKNOWLEDGED_EVERY, FRAME, Load, Target, cost_us
from benchmarks.result import Result, Table
from benchmarks.speech import FRAME_S
from voxmesh_client.slots import COORDINATOR

GOAL = 1.3
BARE = "bare grpc.aio echo, uvloop"
RUNTIME = "echo on the runtime's streams"
FORWARD = "coordinator, a frame of silence to turn detection"

Costs = Mapping[str, Sequence[float]]


async def measure_relay(mesh: LocalMesh, *, streams: int = 16, seconds: float = 4.0, trials: int = 7) -> Result:
    """Load each server in turn, `trials` times, at the pace of speech and as fast as it goes."""
    frames = max(1, round(seconds / FRAME_S / ACKNOWLEDGED_EVERY)) * ACKNOWLEDGED_EVERY
    loads = {
        "at the pace of speech": Load(streams, frames, paced=True),
        "as fast as it goes": Load(streams, frames, paced=False),
    }
    async with _targets(mesh) as targets:
        costs = {name: await _interleaved(targets, load, trials) for name, load in loads.items()}
    tables = [_table(name, loads[name], found, trials) for name, found in costs.items()]
    return Result("relay", tables, {"us_per_frame": costs, "streams": streams, "frames_per_stream": frames})


@asynccontextmanager
async def _targets(mesh: LocalMesh) -> AsyncGenerator[list[Target]]:
    async with AsyncExitStack() as stack:
        echoes = [
            await stack.enter_async_context(_echo(kind, name)) for kind, name in (("bare", BARE), ("runtime", RUNTIME))
        ]
        others = [slot for slot in SPOKEN if slot is not COORDINATOR]
        targets = {f"VOXMESH_{slot.name.upper()}_TARGET": mesh.client.settings.target(slot) for slot in others}
        # With a store it would acknowledge only what no other replica may need: by that no frame can be counted.
        own = await stack.enter_async_context(
            running_mesh((COORDINATOR,), {**targets, "VOXMESH_SESSION_STORE": "none"})
        )
        address = own.client.settings.target(COORDINATOR)
        yield [*echoes, Target(FORWARD, address, own.process(COORDINATOR), acknowledges=True)]


@asynccontextmanager
async def _echo(kind: str, name: str) -> AsyncGenerator[Target]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.relay_echo", kind, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    if process.stdout is None or process.stdin is None:
        raise RuntimeError("the process has no pipes")
    try:
        port = int(await process.stdout.readline())
        yield Target(name, f"127.0.0.1:{port}", psutil.Process(process.pid), acknowledges=False)
    finally:
        process.stdin.close()
        await process.wait()


async def _interleaved(targets: Sequence[Target], load: Load, trials: int) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {target.name: [] for target in targets}
    warm_up = Load(load.streams, ACKNOWLEDGED_EVERY, load.paced)
    for target in targets:
        await cost_us(target, warm_up)
    for trial in range(trials):
        for target in targets[:: 1 if trial % 2 else -1]:
            costs[target.name].append(await cost_us(target, load))
    return costs


def _table(name: str, load: Load, costs: Costs, trials: int) -> Table:
    return Table(
        f"relay: CPU of the server for a frame of {len(FRAME)} bytes, {load.streams} streams {name}",
        ("median (quartiles)", "us a frame", "ratio to bare"),
        [_row(target, found, costs[BARE]) for target, found in costs.items()],
        [
            (
                f"{trials} trials of {load.frames} frames a stream each, interleaved; ratios within each trial. "
                f"Goal for the runtime: at most {GOAL:g}. The echoes read and write a message a frame; the coordinator "
                f"reads one, writes one to another service, and acknowledges every {ACKNOWLEDGED_EVERY}th."
            ),
        ],
    )


def _row(name: str, found: Sequence[float], bare: Sequence[float]) -> tuple[str, str, str]:
    ratios = [cost / least for cost, least in zip(found, bare, strict=True)]
    return (name, Spread.of(found).text(), Spread.of(ratios).text(2))
