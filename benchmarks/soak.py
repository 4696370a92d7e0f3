"""Benchmark `soak`: many turns in a row, and what they leave behind in every process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.figures import slope
from benchmarks.leaks import grows_steadily, settled
from benchmarks.mesh import LocalMesh
from benchmarks.processes import Holding
from benchmarks.result import Result, Table
from benchmarks.soak_talk import Talk, talk
from benchmarks.speech import QUESTION, Question
from voxmesh_client.inspection import model_info

_RELEASED_WITHIN_S = 5.0
_SAMPLE_AFTER_S = 0.1
"""After a turn: a service frees what a stream held within a second, mostly at once."""

ONE = "in one session"
OWN = "each in a session of its own"


@dataclass(slots=True)
class Samples:
    """What each process held after each turn."""

    after: list[dict[str, Holding]] = field(default_factory=list[dict[str, Holding]])

    def of(self, process: str, read: Callable[[Holding], float]) -> list[float]:
        """One figure of a process over the turns; a process that is not there holds nothing."""
        return [read(held[process]) if process in held else 0.0 for held in self.after]

    @property
    def processes(self) -> list[str]:
        """Names of all processes that were there at any time."""
        return list(dict.fromkeys(name for held in self.after for name in held))


async def measure_soak(mesh: LocalMesh, *, turns: int = 100, spoken_share: float = 0.25) -> Result:
    """Half of the turns in one session, half each in its own; every so many is spoken, the others typed."""
    question = Question.read(QUESTION)
    every = max(1, round(1 / spoken_share)) if spoken_share else turns + 1
    started_with = set(mesh.processes())
    phases = {ONE: Samples(), OWN: Samples()}
    replies = 0
    async with _session(mesh, question) as shared:
        for index in range(turns - turns // 2):
            replies += await shared.turn(spoken=index % every == 0)
            phases[ONE].after.append(await _sample(mesh))
    for index in range(turns // 2):
        async with _session(mesh, question) as own:
            replies += await own.turn(spoken=index % every == 0)
        phases[OWN].after.append(await _sample(mesh))
    problems = [
        *([f"{turns - replies} of {turns} turns got no reply"] if replies < turns else []),
        *_growing(phases),
        *await _left(mesh, started_with),
    ]
    tables = [_memory_table(phases, turns), _counts_table(phases, problems)]
    figures = {name: [_plain(held) for held in samples.after] for name, samples in phases.items()}
    return Result("soak", tables, {"turns": turns, "replies": replies, "after_each_turn": figures}, problems)


@asynccontextmanager
async def _session(mesh: LocalMesh, question: Question) -> AsyncGenerator[Talk]:
    async with talk(mesh.client, question) as session:
        yield session


async def _sample(mesh: LocalMesh) -> dict[str, Holding]:
    await asyncio.sleep(_SAMPLE_AFTER_S)
    return {name: Holding.of(process) for name, process in mesh.processes().items()}


def _plain(held: Mapping[str, Holding]) -> dict[str, Any]:
    return {name: asdict(holding) for name, holding in held.items()}


def _growing(phases: Mapping[str, Samples]) -> list[str]:
    return [
        f"{process}: {what} grow steadily over turns {phase}"
        for phase, samples in phases.items()
        for process in samples.processes
        for what, read in (("threads", _threads), ("descriptors", _descriptors))
        if grows_steadily(samples.of(process, read))
    ]


def _threads(holding: Holding) -> float:
    return holding.threads


def _descriptors(holding: Holding) -> float:
    return holding.descriptors


def _anonymous(holding: Holding) -> float:
    return holding.anonymous_mib


async def _left(mesh: LocalMesh, started_with: set[str]) -> list[str]:
    """Streams that are open though no conversation is, and processes that were not there at the start."""
    open_streams = await _open_streams(mesh)
    for _ in range(round(_RELEASED_WITHIN_S / 0.2)):
        if not any(open_streams.values()):
            break
        await asyncio.sleep(0.2)
        open_streams = await _open_streams(mesh)
    left = [f"{name}: {count} streams are still open" for name, count in open_streams.items() if count]
    left += [f"{name}: a process that was left behind" for name in set(mesh.processes()) - started_with]
    left += [f"{mesh.restarts} services died and were started again"] if mesh.restarts else []
    return left


async def _open_streams(mesh: LocalMesh) -> dict[str, int]:
    infos: dict[str, Any] = {slot.name: await model_info(mesh.client, slot) for slot in mesh.supervisor.services}
    return {name: info.model_info.active_streams for name, info in infos.items() if info is not None}


def _memory_table(phases: Mapping[str, Samples], turns: int) -> Table:
    rows = [
        _memory_row(f"{process}, {phase}", samples.of(process, _anonymous))
        for phase, samples in phases.items()
        for process in samples.processes
    ]
    return Table(
        f"soak: memory over {turns} turns, MiB of anonymous memory",
        ("process", "first", "middle", "last", "growth KiB a turn"),
        rows,
        ["Growth is the median slope over all pairs of turns (Theil-Sen) after the first fifth."],
    )


def _memory_row(name: str, values: Sequence[float]) -> tuple[str, ...]:
    growth = f"{1024 * slope(settled(values)):.1f}"
    return (name, *(f"{value:.1f}" for value in (values[0], values[len(values) // 2], values[-1])), growth)


def _counts_table(phases: Mapping[str, Samples], problems: Sequence[str]) -> Table:
    rows = [
        (f"{process}, {phase}", *_ends(samples.of(process, _threads)), *_ends(samples.of(process, _descriptors)))
        for phase, samples in phases.items()
        for process in samples.processes
    ]
    verdict = "; ".join(problems) or "no stream is open, no process is left, and nothing grows steadily"
    return Table(
        "soak: threads and descriptors, after the first turn, at most and after the last",
        ("process", "threads", "most", "last", "descriptors", "most", "last"),
        rows,
        [f"At the end: {verdict}."],
    )


def _ends(values: Sequence[float]) -> tuple[str, str, str]:
    return (f"{values[0]:.0f}", f"{max(values):.0f}", f"{values[-1]:.0f}")
