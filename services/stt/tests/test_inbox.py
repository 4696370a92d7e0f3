"""The inbox gives the engine portions worth a step and holds back a client that is too fast."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_stt.inbox import MAX_ENTRIES, Discard, Finalize, Inbox, Portion

pytestmark = pytest.mark.unit

STEP = 100
MOST = 1000


def _audio(length: int, value: float = 0.5) -> Samples:
    return np.full(length, value, np.float32)


async def _taken(inbox: Inbox) -> Portion:
    portion = await asyncio.wait_for(inbox.take(), timeout=5)
    assert portion is not None
    return portion


async def _waits(task: asyncio.Task[object]) -> bool:
    await asyncio.sleep(0.02)
    return not task.done()


async def test_short_audio_waits_until_it_is_worth_a_step() -> None:
    inbox = Inbox(STEP, MOST)
    await inbox.put_audio(_audio(STEP - 1))
    taking = asyncio.create_task(_taken(inbox))
    assert await _waits(taking)
    await inbox.put_audio(_audio(1))
    portion = await taking
    assert len(portion.samples) == STEP
    assert portion.command is None


async def test_a_command_ends_a_portion_at_once() -> None:
    inbox = Inbox(STEP, MOST)
    await inbox.put_audio(_audio(3, 0.1))
    await inbox.put(Finalize())
    await inbox.put_audio(_audio(4, 0.2))
    await inbox.put(Discard())
    first, second = await _taken(inbox), await _taken(inbox)
    assert isinstance(first.command, Finalize)
    assert first.samples.tolist() == pytest.approx([0.1] * 3)
    assert isinstance(second.command, Discard)
    assert second.samples.tolist() == pytest.approx([0.2] * 4)


async def test_a_command_without_audio_is_a_portion() -> None:
    inbox = Inbox(STEP, MOST)
    await inbox.put(Finalize())
    portion = await _taken(inbox)
    assert isinstance(portion.command, Finalize)
    assert portion.samples.shape == (0,)


async def test_a_full_inbox_holds_the_client_back_until_audio_is_taken() -> None:
    inbox = Inbox(STEP, MOST)
    await inbox.put_audio(_audio(MOST))
    putting = asyncio.create_task(inbox.put_audio(_audio(1)))
    assert await _waits(putting)
    assert len((await _taken(inbox)).samples) == MOST
    await asyncio.wait_for(putting, timeout=5)


async def test_commands_without_audio_are_bounded_too() -> None:
    inbox = Inbox(STEP, MOST)
    for _ in range(MAX_ENTRIES):
        await inbox.put(Discard())
    putting = asyncio.create_task(inbox.put(Discard()))
    assert await _waits(putting)
    await _taken(inbox)
    await asyncio.wait_for(putting, timeout=5)


async def test_many_tiny_messages_make_a_step_before_they_are_worth_one_in_seconds() -> None:
    inbox = Inbox(10 * MAX_ENTRIES, 20 * MAX_ENTRIES)
    for _ in range(MAX_ENTRIES):
        await inbox.put_audio(_audio(1))
    assert len((await _taken(inbox)).samples) == MAX_ENTRIES


async def test_what_waits_is_taken_after_close_and_then_nothing() -> None:
    inbox = Inbox(STEP, MOST)
    await inbox.put_audio(_audio(1))
    await inbox.close()
    assert len((await _taken(inbox)).samples) == 1
    assert await asyncio.wait_for(inbox.take(), timeout=5) is None


async def test_empty_audio_leaves_no_trace() -> None:
    inbox = Inbox(STEP, MOST)
    await inbox.put_audio(_audio(0))
    await inbox.close()
    assert await asyncio.wait_for(inbox.take(), timeout=5) is None
