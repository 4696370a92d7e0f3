"""A conversation keeps the upstream's slot that has read it."""

from __future__ import annotations

import asyncio

import pytest

from voxmesh_llm_proxy.slots import Slots
from voxmesh_runtime.errors import Overloaded

pytestmark = pytest.mark.unit


async def taken(slots: Slots, owner: object) -> int:
    async with slots.take(owner) as number:
        return number


async def test_each_conversation_comes_back_to_its_slot() -> None:
    slots = Slots(3, 1.0)
    first = [await taken(slots, owner) for owner in "abc"]
    assert sorted(first) == [0, 1, 2]
    assert [await taken(slots, owner) for owner in "cab"] == [first["abc".index(owner)] for owner in "cab"]


async def test_a_new_conversation_gets_the_slot_that_was_unused_for_longest() -> None:
    slots = Slots(2, 1.0)
    a, b = await taken(slots, "a"), await taken(slots, "b")
    assert await taken(slots, "a") == a
    assert await taken(slots, "c") == b
    assert await taken(slots, "a") == a


async def test_a_busy_slot_is_not_given_twice_and_who_waits_too_long_is_told() -> None:
    slots = Slots(2, 0.05)
    async with slots.take("a") as one, slots.take("a") as other:
        assert one != other
        assert slots.are_taken
        with pytest.raises(Overloaded, match="busy"):
            await taken(slots, "b")
    assert not slots.are_taken


async def test_a_slot_is_free_again_after_a_failure_and_a_cancellation() -> None:
    slots = Slots(1, 1.0)
    with pytest.raises(ValueError, match="broke"):
        async with slots.take("a"):
            raise ValueError("broke")
    holding = asyncio.create_task(_hold(slots))
    await asyncio.sleep(0)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert await taken(slots, "b") == 0


async def _hold(slots: Slots) -> None:
    async with slots.take("a"):
        await asyncio.Event().wait()
