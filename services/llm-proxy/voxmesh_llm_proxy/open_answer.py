"""One answer of an upstream while it comes in: its events one by one, and the connection back to the pool."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

import httpx2

from voxmesh_llm_proxy.upstream_errors import UNREACHABLE, UpstreamFailure
from voxmesh_runtime.chat.events import Event
from voxmesh_runtime.chat.reading import AnswerReader

_DRAIN_S = 0.1
"""Longest wait for the last bytes after an explicit end; a connection that has more is not used again."""


class OpenAnswer:
    """The events of a response whose body is not read yet."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._reader = AnswerReader(response.headers.get("content-type", "") or "text/event-stream")
        self._bytes = response.aiter_bytes()
        self._events = deque[Event]()
        self._is_over = False

    async def next(self) -> Event | None:
        """The next event; None at the end.

        Raises:
            UpstreamFailure: the upstream complains, or the connection broke.
            Unavailable: it writes one event without end.
        """
        while not self._events:
            if self._is_over:
                return None
            await self._read()
        event = self._events.popleft()
        if event.complaint is not None:
            raise UpstreamFailure(event.complaint)
        if event.is_end:
            self._is_over = True
            await self._drain()
        return event

    async def close(self) -> None:
        """Abort what is still written."""
        await self._response.aclose()

    async def _read(self) -> None:
        try:
            self._events.extend(self._reader.feed(await anext(self._bytes)))
        except StopAsyncIteration:
            self._is_over = True
            self._events.extend(self._reader.end())
        except httpx2.RequestError as error:
            raise UpstreamFailure(UNREACHABLE) from error

    async def _drain(self) -> None:
        with suppress(httpx2.RequestError, TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                async for _ in self._bytes:
                    pass
