"""Tells the client of one session which slots it has to do without, and when they are back.

a stream cannot be opened ──► lost ──► slot_status DOWN
it can, or a backend is well again ──► found ──► slot_status SERVING or DEGRADED
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_routing.backends import Slot
from voxmesh_routing.failover import FailoverStream
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.status import lost, status_of

Response = conversation_pb2.ConverseResponse


class SlotWatch:
    """Follows the streams of a session.

    Args:
        streams: what is found out before `begin` is told then.
        slots: behind the coordinator.
        send: to the client.
    """

    def __init__(
        self,
        streams: Iterable[FailoverStream[Any, Any, Any]],
        slots: Iterable[Slot],
        send: Callable[[Response], None],
    ) -> None:
        self._slots = {slot.name: slot for slot in slots}
        self._send = send
        self._lost: dict[str, ServiceFailed] = {}
        self._told: set[str] = set()
        self._listeners = [(slot, partial(self._is_back, slot.name)) for slot in self._slots.values()]
        self._telling: asyncio.Task[None] | None = None
        for stream in streams:
            stream.watchers.append(partial(self._opening, stream.slot))

    async def begin(self) -> None:
        """Tell what is lost already, and from now on what changes; nothing happens the second time."""
        if self._telling is not None:
            return
        for slot, listener in self._listeners:
            slot.listeners.add(listener)
        self._telling = asyncio.create_task(self._tell())
        await self._telling

    def end(self) -> None:
        """Tell nothing more."""
        for slot, listener in self._listeners:
            slot.listeners.discard(listener)
        if self._telling is not None:
            self._telling.cancel()

    def _opening(self, slot: str, failure: ServiceFailed | None) -> None:
        if failure is None:
            self._is_back(slot)
        else:
            self._lost[slot] = failure
            self._changed()

    def _is_back(self, slot: str) -> None:
        if self._lost.pop(slot, None) is not None:
            self._changed()

    def _changed(self) -> None:
        if self._telling is not None and self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while changed := self._told ^ self._lost.keys():
            slot = self._slots[changed.pop()]
            failure = self._lost.get(slot.name)
            self._told ^= {slot.name}
            if failure is None:
                status = status_of(slot.name, slot.known)
            else:
                status = lost(slot.name, failure.message, slot.known)
            self._send(Response(slot_status=status))
