"""A bounded queue between a link and the one who waits for its answers, which either may leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock

T = TypeVar("T")


class ResponseQueue(Generic[T]):
    """Answers to one unit of work; `put` waits while it is full, and drops once it is closed."""

    def __init__(self, size: int = 64, clock: Clock = SYSTEM_CLOCK) -> None:
        self._queue: asyncio.Queue[T | ServiceFailed] = asyncio.Queue(size)
        self._closed = False
        self.made_at = clock.now()
        self.first_wait_s: float | None = None
        """Time to the first answer, in seconds, once that is there."""
        self.patience_s: float | None = None
        """Longest wait for the first answer, in seconds."""

    async def put(self, item: T) -> None:
        """Append an answer."""
        if not self._closed:
            await self._queue.put(item)

    def fail(self, failure: ServiceFailed) -> None:
        """Tell the reader that no answer will come; what waits is dropped."""
        self._empty()
        self._queue.put_nowait(failure)

    def close(self) -> None:
        """The reader leaves: a writer that waits goes on, and its answers are dropped."""
        self._closed = True
        self._empty()

    async def __aiter__(self) -> AsyncIterator[T]:
        """The answers.

        Raises:
            ServiceFailed: there will be none.
            TimeoutError: the first did not come in time.
        """
        is_first = True
        while True:
            async with asyncio.timeout(self.patience_s if is_first else None):
                item = await self._queue.get()
            is_first = False
            if isinstance(item, ServiceFailed):
                raise item
            yield item

    def _empty(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
