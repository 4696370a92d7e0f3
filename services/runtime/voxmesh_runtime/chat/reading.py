"""Read the bytes of an upstream's answer into events: a stream, or one JSON body where a stream was asked for."""

from __future__ import annotations

import json

from voxmesh_runtime.chat.events import Event, EventReader
from voxmesh_runtime.chat.sse import MAX_EVENT_BYTES, EventStream
from voxmesh_runtime.errors import Unavailable


class AnswerReader:
    """Takes the bytes of one answer, cut anywhere.

    Args:
        content_type: header of the answer.
    """

    def __init__(self, content_type: str = "text/event-stream") -> None:
        self._events = EventReader()
        self._stream = EventStream()
        self._body: bytearray | None = bytearray() if "json" in content_type.lower() else None

    def feed(self, data: bytes) -> list[Event]:
        """Events that `data` completes.

        Raises:
            Unavailable: the upstream sends one without end.
        """
        if self._body is None:
            return [found for event in self._stream.feed(data) for found in self._events.read(event)]
        self._body += data
        if len(self._body) > MAX_EVENT_BYTES:
            raise Unavailable(f"the upstream sent an answer of more than {MAX_EVENT_BYTES} bytes; try again")
        return []

    def end(self) -> list[Event]:
        """Events that the end of the bytes completes."""
        if self._body is None:
            return [found for event in self._stream.end() for found in self._events.read(event)]
        try:
            body = json.loads(self._body.decode(errors="replace"))
        except (ValueError, RecursionError):
            return []
        return [*self._events.read_body(body), Event(is_end=True)]
