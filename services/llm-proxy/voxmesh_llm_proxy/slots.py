"""Which of the upstream's slots works for whom: a conversation keeps the one that has read it.

A llama.cpp server left to itself gives a request to the slot that holds the most of its beginning. All
conversations begin with the same system prompt, so two of them take turns in one slot, read all that was
said anew in every turn, and leave the other slots empty.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from voxmesh_runtime.errors import Overloaded


@dataclass(slots=True)
class _Slot:
    number: int
    owner: object | None = None
    is_busy: bool = False
    used_at: float = float("-inf")


class Slots:
    """As many generations at once as there are slots; the rest wait.

    Args:
        count: how many there are.
        timeout_s: longest wait for one.
    """

    def __init__(self, count: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(count)
        self._slots = [_Slot(number) for number in range(count)]

    @property
    def are_taken(self) -> bool:
        """Whoever comes now waits."""
        return self._free.locked()

    @property
    def taken(self) -> int:
        """Slots that work."""
        return sum(slot.is_busy for slot in self._slots)

    @asynccontextmanager
    async def take(self, owner: object) -> AsyncGenerator[int]:
        """The number of a slot for the time of a block: the owner's last one, else the one unused for longest.

        Raises:
            Overloaded: none came free in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded(f"the upstream was busy for {self._timeout_s:g} s; try again later", 2.0) from None
        slot = self._choose(owner)
        slot.owner, slot.is_busy = owner, True
        try:
            yield slot.number
        finally:
            slot.is_busy, slot.used_at = False, time.monotonic()
            self._free.release()

    def _choose(self, owner: object) -> _Slot:
        free = [slot for slot in self._slots if not slot.is_busy]
        return next((slot for slot in free if slot.owner is owner), min(free, key=lambda slot: slot.used_at))
