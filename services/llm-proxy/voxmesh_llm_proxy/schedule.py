"""The generations of one stream, one after another, with a bounded number that wait."""

from __future__ import annotations

import asyncio
from collections import deque

from voxmesh_llm_proxy.generation import Generation, Send
from voxmesh_runtime.errors import Overloaded

MAX_WAITING = 4


class Schedule:
    """Generations in the order of their arrival."""

    def __init__(self) -> None:
        self._waiting: deque[Generation] = deque()
        self._current: Generation | None = None
        self._closed = False
        self._changed = asyncio.Event()

    def add(self, generation: Generation) -> None:
        """Append a generation.

        Raises:
            Overloaded: `MAX_WAITING` wait already.
        """
        # The one that `run` is about to take does not wait for any other.
        ahead = len(self._waiting) + (self._current is not None)
        if ahead > MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} generations of this stream wait already; read `finished` before sending")
        self._waiting.append(generation)
        self._changed.set()

    def cancel(self) -> None:
        """Cancel the generation in progress and all that wait."""
        for generation in (self._current, *self._waiting):
            if generation is not None:
                generation.cancel()

    def close(self) -> None:
        """Say that no generation follows; those that wait are still answered."""
        self._closed = True
        self._changed.set()

    async def run(self, send: Send) -> None:
        """Answer all generations, up to `close`."""
        while True:
            while self._waiting:
                self._current = self._waiting.popleft()
                await self._current.run(send)
                self._current = None
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()
