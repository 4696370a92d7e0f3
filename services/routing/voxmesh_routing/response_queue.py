"""A bounded queue between a stream and the one who waits for its answers, which either may leave."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from voxmesh_routing.failures import ServiceFailed

T = TypeVar("T")


class ResponseQueue(Generic[T]):
    """Answers to one unit of work; `put` waits while it is full, and drops once it is closed."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._items = deque[T | ServiceFailed]()
        self._is_closed = False
        self._there, self._room = asyncio.Event(), asyncio.Event()

    async def put(self, item: T) -> None:
        """Append an answer."""
        while len(self._items) >= self._size and not self._is_closed:
            self._room.clear()
            await self._room.wait()
        self.add(item)

    def add(self, item: T | ServiceFailed) -> None:
        """Append an answer however full it is, or the failure for which no other will come."""
        if not self._is_closed:
            self._items.append(item)
            self._there.set()

    def close(self) -> None:
        """The reader leaves: a writer that waits goes on, and its answers are dropped."""
        self._is_closed = True
        self._items.clear()
        self._room.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        """The answers.

        Raises:
            ServiceFailed: there will be no more.
        """
        while True:
            while not self._items:
                self._there.clear()
                await self._there.wait()
            item = self._items.popleft()
            self._room.set()
            if isinstance(item, ServiceFailed):
                raise item
            yield item
