"""The pipe between reader and writer is bounded, ordered and ends."""

from __future__ import annotations

import asyncio

import pytest

from voxmesh_llm_proxy.pipe import Pipe

pytestmark = pytest.mark.unit


async def test_a_full_pipe_makes_its_writer_wait() -> None:
    pipe = Pipe[int](limit=2)
    writing = asyncio.create_task(_write(pipe, 5))
    await asyncio.sleep(0.01)
    assert not writing.done()
    assert [await pipe.take() for _ in range(5)] == [0, 1, 2, 3, 4]
    await writing
    assert await pipe.take() is None


async def test_closing_lets_a_waiting_writer_go_and_drops_what_is_discarded() -> None:
    pipe = Pipe[int](limit=1)
    writing = asyncio.create_task(_write(pipe, 3))
    await asyncio.sleep(0.01)
    pipe.close(discard=True)
    await asyncio.wait_for(writing, 1)
    assert await pipe.take() is None


async def test_closing_wakes_a_waiting_reader() -> None:
    pipe = Pipe[int]()
    reading = asyncio.create_task(pipe.take())
    await asyncio.sleep(0.01)
    pipe.close()
    assert await asyncio.wait_for(reading, 1) is None


async def _write(pipe: Pipe[int], count: int) -> None:
    for number in range(count):
        await pipe.put(number)
    pipe.close()
