"""The analyses of one stream: one at a time, in order, with a bounded number that wait."""

from __future__ import annotations

import asyncio

from voxmesh_runtime.errors import Overloaded
from voxmesh_runtime.streams import StreamCall
from voxmesh_vlm.analysis import Analysis, Request, Response, finished, look
from voxmesh_vlm.looking import Looking


class Schedule:
    """Takes analyses and answers them.

    Args:
        max_pending: analyses that may wait for the one in progress.
    """

    def __init__(self, call: StreamCall[Request, Response], looking: Looking, max_pending: int) -> None:
        self._call = call
        self._looking = looking
        self._max_pending = max_pending
        self._waiting: asyncio.Queue[Analysis | None] = asyncio.Queue()
        self._unanswered: list[Analysis] = []

    def put(self, analysis: Analysis) -> None:
        """Append an analysis.

        Raises:
            Overloaded: `max_pending` wait already. The client is not held back instead, because
                then its `cancel` would not be read either.
        """
        if len(self._unanswered) > self._max_pending:
            raise Overloaded(f"{self._max_pending} analyses of this stream wait already; read `finished` first")
        self._unanswered.append(analysis)
        self._waiting.put_nowait(analysis)

    def close(self) -> None:
        """Say that nothing follows; what waits is still answered."""
        self._waiting.put_nowait(None)

    def cancel(self) -> None:
        """Stop the analysis in progress and all that wait; without any, do nothing."""
        for analysis in self._unanswered:
            analysis.cancel()

    async def run(self) -> None:
        """Answer until closed."""
        while (analysis := await self._waiting.get()) is not None:
            await look(analysis, self._call, self._looking)
            # Whoever has read `finished` may send the next one at once.
            self._unanswered.remove(analysis)
            await self._call.send(finished(analysis))
