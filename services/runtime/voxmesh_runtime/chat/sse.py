"""Read server-sent events, by the standard of the event stream format, from bytes cut anywhere.

One line beyond the standard: older llama.cpp servers write a failure as the field `error`.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxmesh_runtime.errors import Unavailable

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""No event of a chat comes near it; more is not collected."""

_BOM = b"\xef\xbb\xbf"
_LINE_ENDS = b"\r\n"


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event that has data."""

    data: str
    """Its data lines, joined by newlines; bytes that are no UTF-8 are U+FFFD."""
    name: str = ""
    """Its type; empty when the server gives none."""


class EventStream:
    """Takes the bytes of a stream; gives its events."""

    def __init__(self) -> None:
        self._line = b""
        self._is_first_line = True
        self._is_after_cr = False
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Events that `data` completes.

        Raises:
            Unavailable: an event is longer than `MAX_EVENT_BYTES`.
        """
        if not data:
            return []
        # The rest of a CRLF that was cut in two.
        is_rest, self._is_after_cr = self._is_after_cr, data.endswith(b"\r")
        data = data.removeprefix(b"\n") if is_rest else data
        lines = (self._line + data).splitlines(keepends=True)
        self._line = lines.pop() if lines and lines[-1][-1] not in _LINE_ENDS else b""
        events = [event for line in lines if (event := self._take(line.rstrip(_LINE_ENDS))) is not None]
        if self._size + len(self._line) > MAX_EVENT_BYTES:
            raise Unavailable(f"the upstream sent an event of more than {MAX_EVENT_BYTES} bytes; try again")
        return events

    def end(self) -> list[ServerEvent]:
        """The event that is left over: some servers do not end their last one by an empty line."""
        line, self._line = self._line, b""
        events = [self._take(line), self._dispatch()]
        return [event for event in events if event is not None]

    def _take(self, line: bytes) -> ServerEvent | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        # A comment is a field without a name.
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"error":
            return ServerEvent(value.decode(errors="replace"), "error")
        return None

    def _dispatch(self) -> ServerEvent | None:
        data, name = b"\n".join(self._data), self._name
        self._data, self._name, self._size = [], "", 0
        return ServerEvent(data.decode(errors="replace"), name) if data else None
