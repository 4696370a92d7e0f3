"""Answers between a stream and the one who waits for them."""

import asyncio

import grpc
import pytest

from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.response_queue import ResponseQueue

pytestmark = pytest.mark.unit


async def test_answers_come_in_order() -> None:
    box = ResponseQueue[int]()
    await box.put(1)
    await box.put(2)
    answers = aiter(box)
    assert [await anext(answers), await anext(answers)] == [1, 2]


async def test_a_full_box_holds_the_writer_back_until_it_is_read() -> None:
    box = ResponseQueue[int](size=1)
    await box.put(1)
    writing = asyncio.create_task(box.put(2))
    await asyncio.sleep(0)
    assert not writing.done()
    assert await anext(aiter(box)) == 1
    await writing


async def test_a_reader_who_leaves_frees_the_writer() -> None:
    box = ResponseQueue[int](size=1)
    await box.put(1)
    writing = asyncio.create_task(box.put(2))
    await asyncio.sleep(0)
    box.close()
    await asyncio.wait_for(writing, 1)
    await box.put(3)
    await box.put(4)


async def test_a_failure_comes_after_what_was_answered_however_full_the_box_is() -> None:
    box = ResponseQueue[int](size=1)
    await box.put(1)
    box.add(ServiceFailed("stt at here", grpc.StatusCode.UNAVAILABLE, "gone"))
    answers = aiter(box)
    assert await anext(answers) == 1
    with pytest.raises(ServiceFailed, match="stt at here: gone"):
        await anext(answers)
