"""Tells the client of one session which slots it has to do without, and when they are back.

a stream cannot be opened ──► lost ──► slot_status DOWN
it can, or a backend is well again ──► found ──► slot_status SERVING or DEGRADED
"""

from __future__ import annotations

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
        self._is_telling = False
        self._listeners = [(slot, partial(self._is_back, slot.name)) for slot in self._slots.values()]
        for stream in streams:
            stream.watchers.append(partial(self._opening, stream.slot))

    def begin(self) -> None:
        """Tell what is lost already, and from now on what changes; nothing happens the second time."""
        if self._is_telling:
            return
        self._is_telling = True
        for slot, listener in self._listeners:
            slot.listeners.add(listener)
        for name in self._lost:
            self._tell(name)

    def end(self) -> None:
        """Follow the slots no more."""
        for slot, listener in self._listeners:
            slot.listeners.discard(listener)

    def _opening(self, name: str, failure: ServiceFailed | None) -> None:
        if failure is None:
            self._is_back(name)
        else:
            is_news = name not in self._lost
            self._lost[name] = failure
            if is_news:
                self._tell(name)

    def _is_back(self, name: str) -> None:
        if self._lost.pop(name, None) is not None:
            self._tell(name)

    def _tell(self, name: str) -> None:
        if self._is_telling:
            failure, known = self._lost.get(name), self._slots[name].known
            status = status_of(name, known) if failure is None else lost(name, failure.message, known)
            self._send(Response(slot_status=status))
