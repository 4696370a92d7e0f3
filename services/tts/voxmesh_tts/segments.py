"""What a stream has asked to say and has not yet been said, bounded in segments and characters.

Segments   the stream's queue: text is added to its last segment, the first one is spoken
 └─ Segment   its clauses as they become complete, until its end or its cancellation
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.errors import Overloaded
from voxmesh_tts.clauses import Clause
from voxmesh_tts.cutting import Cutter, Cutting

T = TypeVar("T")


class Segment:
    """One segment, from its first text on."""

    def __init__(
        self,
        index: int,
        cutter: Cutter,
        trace_context: common_pb2.TraceContext | None,
    ) -> None:
        self.index = index
        self.clock = WorkClock.start()
        self.trace_context = trace_context
        self._cutter = cutter
        # Bounded by the longest text that the guard lets pass.
        self._clauses: asyncio.Queue[Clause | None] = asyncio.Queue()
        self._cancelled = asyncio.Event()

    @property
    def cancelled(self) -> bool:
        """Whether nothing of it may be said any more."""
        return self._cancelled.is_set()

    def add(self, text: str) -> None:
        """Append text.

        Raises:
            InvalidArgument: too much, or not in the stream's format.
        """
        self._put(self._cutter.feed(text))

    def end(self) -> None:
        """Say that no text follows.

        Raises:
            InvalidArgument: the text is not complete.
        """
        self._put([*self._cutter.flush(), None])

    def cancel(self) -> None:
        """Drop what was not said."""
        self._cancelled.set()

    async def clauses(self) -> AsyncGenerator[Clause]:
        """The clauses, each once it is complete."""
        while (clause := await self._clauses.get()) is not None:
            yield clause

    async def until_cancelled(self, items: AsyncIterator[T]) -> AsyncGenerator[T]:
        """`items` up to their end or the segment's cancellation, which abandons the item in progress."""
        cancelled = asyncio.create_task(self._cancelled.wait())
        following: asyncio.Task[T] | None = None
        try:
            while not self.cancelled:
                following = asyncio.create_task(_next(items))
                await asyncio.wait({following, cancelled}, return_when=asyncio.FIRST_COMPLETED)
                if self.cancelled:
                    return
                try:
                    item = following.result()
                except StopAsyncIteration:
                    return
                yield item
        finally:
            cancelled.cancel()
            if following is not None:
                await _abandon(following)

    def _put(self, clauses: list[Clause] | list[Clause | None]) -> None:
        for clause in clauses:
            self._clauses.put_nowait(clause)


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


async def _abandon(task: asyncio.Task[T]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        # An error of what nobody waits for any more is of no use to anyone.
        task.exception()


class Segments:
    """The queue of one stream's segments.

    Args:
        cutting: how the stream's text becomes clauses.
        max_queued: segments that may wait behind the one being spoken.
    """

    def __init__(self, cutting: Cutting, max_queued: int) -> None:
        self._cutting = cutting
        self._max_queued = max_queued
        self._unfinished: deque[Segment] = deque()
        self._waiting: asyncio.Queue[Segment | None] = asyncio.Queue()
        self._open: Segment | None = None
        self._count = 0

    def add_text(self, text: str, trace_context: common_pb2.TraceContext | None, *, continues: bool = False) -> None:
        """Append text to the open segment, or start one with it, which may go on with earlier speech.

        Raises:
            InvalidArgument: too much, or no plain text.
            Overloaded: too many segments wait.
        """
        segment = self._open or self._start(trace_context, continues=continues)
        segment.add(text)

    def end_segment(self) -> None:
        """End the open segment; without one, an empty segment."""
        segment = self._open or self._start(None)
        self._open = None
        segment.end()

    def cancel(self) -> None:
        """Drop every segment that is not finished."""
        self._open = None
        for segment in self._unfinished:
            segment.cancel()

    def close(self) -> None:
        """End the open segment, if there is one, and say that none follows."""
        if self._open is not None:
            self.end_segment()
        self._waiting.put_nowait(None)

    async def next(self) -> Segment | None:
        """The next segment, cancelled ones too; None at the end."""
        return await self._waiting.get()

    def finish(self, segment: Segment) -> None:
        """Say that a segment's end was reported: it can no longer be cancelled."""
        self._unfinished.remove(segment)

    def _start(self, trace_context: common_pb2.TraceContext | None, *, continues: bool = False) -> Segment:
        if len(self._unfinished) > self._max_queued:
            raise Overloaded(
                f"{self._max_queued} segments already wait behind the one being spoken; "
                "send the next one after a segment_finished"
            )
        segment = Segment(self._count, self._cutting.cutter(continues=continues), trace_context)
        self._count += 1
        self._open = segment
        self._unfinished.append(segment)
        self._waiting.put_nowait(segment)
        return segment
