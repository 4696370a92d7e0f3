"""What one stream waits for: several requests at once, each answered when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from voxmesh_runtime.errors import InvalidArgument


class Pending:
    """Requests of a stream that are not yet answered, at most `most` at once.

    Args:
        field: path of a request's id.
        most: how many; one more waits.
    """

    def __init__(self, field: str, most: int) -> None:
        self._field = field
        self._free = asyncio.Semaphore(most)
        self._ids: set[int] = set()

    async def add(self, request_id: int) -> None:
        """Begin a request; waits while there are `most`, which holds the client back.

        Raises:
            InvalidArgument: the id is of a request not yet answered.
        """
        if request_id in self._ids:
            raise InvalidArgument(self._field, f"{request_id} is of a request that is not yet answered")
        self._ids.add(request_id)
        await self._free.acquire()

    @contextmanager
    def answering(self) -> Generator[None]:
        """The time in which a request holds its place."""
        try:
            yield
        finally:
            self._free.release()

    def answered(self, request_id: int) -> None:
        """The answer goes out now: whoever has it may use the id again at once."""
        self._ids.discard(request_id)
