"""Benchmark `store-race`: two processes open one new session store, write, and take each other's session over."""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.result import Result, Table
from voxmesh_coordinator.durability.sqlite_store import SqliteStore
from voxmesh_coordinator.durability.store import FIRST_EPOCH, Entry, SessionStore, StoreFailed, Tokens, Write

RACERS = 2
LINE_S = 20.0
"""Longest wait of one process for the other, in seconds."""
TTL_S = 60.0
TOKEN, NEW_TOKEN = bytes(32), bytes(range(32))


def measure_store_race(rounds: int) -> Result:
    """So many new files, each opened by two processes within microseconds; what fails is a problem."""
    began_at = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        problems = race(Path(folder), rounds)
    row = (f"{rounds}", f"{len(problems)}", f"{time.monotonic() - began_at:.1f}")
    table = Table(f"store-race: {RACERS} processes open a new store at once", ("rounds", "failures", "seconds"), [row])
    return Result("store-race", [table], {"rounds": rounds, "failures": len(problems)}, problems)


def race(folder: Path, rounds: int) -> list[str]:
    """What failed, each a sentence; `folder` gets a file a round."""
    context = multiprocessing.get_context("spawn")
    line = context.Array("i", RACERS, lock=False)
    ends = [context.Pipe(duplex=False) for _ in range(RACERS)]
    racers = [
        context.Process(target=_run, args=(number, folder, rounds, line, sender))
        for number, (_, sender) in enumerate(ends)
    ]
    for racer in racers:
        racer.start()
    for _, sender in ends:
        # Only the process itself holds it now: the reader sees an end when that dies.
        sender.close()
    problems = [problem for receiver, _ in ends for problem in _received(receiver)]
    for racer in racers:
        racer.join()
    return problems


def _received(receiver: Connection) -> Sequence[str]:
    try:
        return receiver.recv()
    except EOFError:
        return ["a process died"]


def _run(number: int, folder: Path, rounds: int, line: Any, to: Connection) -> None:
    try:
        to.send(asyncio.run(_race(number, folder, rounds, line)))
    except TimeoutError as error:
        to.send([str(error)])


async def _race(number: int, folder: Path, rounds: int, line: Any) -> list[str]:
    problems: list[str] = []
    for at in range(rounds):
        try:
            await _one_round(number, folder / f"{at}" / "sessions.sqlite3", line)
        except (StoreFailed, AssertionError) as problem:
            problems.append(f"round {at}, process {number}: {problem}")
            # The other one is not to wait for what will not come.
            line[number] = 2 * (at + 1)
    return problems


async def _one_round(number: int, path: Path, line: Any) -> None:
    """Open, write and claim, each at the same moment as the other process."""
    _wait_in_line(number, line)
    store = await SqliteStore.open(str(path))
    try:
        await _begin(store, f"{number}")
        _wait_in_line(number, line)
        await _take_over(store, f"{1 - number}")
    finally:
        await store.close()


def _wait_in_line(number: int, line: Any) -> None:
    """Both leave at once: neither sleeps, since waking up takes longer than opening a file."""
    line[number] += 1
    until = time.monotonic() + LINE_S
    while line[1 - number] < line[number]:
        if time.monotonic() > until:
            raise TimeoutError(f"process {1 - number} does not come")


async def _begin(store: SessionStore, session_id: str) -> None:
    begin = Write(session_id, FIRST_EPOCH, TTL_S, state=b"begun", tokens=Tokens(TOKEN), is_new=True)
    log = Write(session_id, FIRST_EPOCH, TTL_S, [Entry(1, b"said")])
    written = await store.write([begin, log])
    if written != [True, True]:
        raise AssertionError(f"its writes were refused: {written}")


async def _take_over(store: SessionStore, session_id: str) -> None:
    claimed = await store.claim(session_id, TOKEN, NEW_TOKEN, TTL_S)
    if claimed is None or (claimed.state, list(claimed.entries)) != (b"begun", [Entry(1, b"said")]):
        raise AssertionError(f"it claimed {claimed}")
    log = Write(session_id, claimed.epoch, TTL_S, [Entry(2, b"answered")])
    if await store.write([log]) != [True]:
        raise AssertionError("its write after the claim was refused")
