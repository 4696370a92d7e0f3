"""The generations of one stream, one after another, with a bounded number that wait.

While none is there, what the next one will most likely begin with is read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.generation import Generation, Send
from voxmesh_runtime.errors import Overloaded

MAX_WAITING = 4


class Schedule:
    """Generations in the order of their arrival.

    Args:
        prefill: lets the upstream read a conversation.
    """

    def __init__(self, prefill: Callable[[llm_pb2.Generate], Awaitable[None]]) -> None:
        self._prefill = prefill
        self._unread: llm_pb2.Generate | None = None
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
        # It holds all that there is to read.
        self._unread = None
        self._changed.set()

    def prefill(self, conversation: llm_pb2.Generate) -> None:
        """Read this next, unless a generation is there; what waits to be read is forgotten."""
        if self._current is None and not self._waiting:
            self._unread = conversation
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
            if (unread := self._unread) is not None:
                self._unread = None
                await self._prefill(unread)
                continue
            self._changed.clear()
            await self._changed.wait()
