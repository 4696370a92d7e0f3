"""A bounded pipe between the task that reads the upstream and the one that writes to the caller."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Pipe(Generic[Item]):
    """Holds at most `limit` items; `put` waits while it is full."""

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._items: deque[Item] = deque()
        self._closed = False
        self._changed = asyncio.Event()

    async def put(self, item: Item) -> None:
        """Append an item; what is put after `close` is dropped."""
        while len(self._items) >= self._limit and not self._closed:
            await self._wait()
        if not self._closed:
            self._items.append(item)
            self._changed.set()

    async def take(self) -> Item | None:
        """The next item; None at the end."""
        while not self._items and not self._closed:
            await self._wait()
        if not self._items:
            return None
        self._changed.set()
        return self._items.popleft()

    def close(self, *, discard: bool = False) -> None:
        """Say that nothing follows; what is inside is still taken, unless it is discarded."""
        self._closed = True
        if discard:
            self._items.clear()
        self._changed.set()

    async def _wait(self) -> None:
        # One reader and one writer, who never wait at the same time.
        self._changed.clear()
        await self._changed.wait()
