"""SSML that comes in pieces, as events; anything but elements and text is refused, with its place.

    Event   what was found, and where: characters of the document as sent
     ├─ Text
     ├─ Start   of an element
     └─ End

There are no entities but those of XML, no DTD and nothing that is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.quoting import quote

FIELD = "text.text"
_MAX_DEPTH = 32
_ROOT = "speak"


@dataclass(frozen=True, slots=True)
class Event:
    """Something in the document, from character `start` on."""

    start: int


@dataclass(frozen=True, slots=True)
class Text(Event):
    """Characters between tags; an escaped one such as `&amp;` comes alone."""

    text: str


@dataclass(frozen=True, slots=True)
class Start(Event):
    """The start of an element; an empty one has its end right after it."""

    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class End(Event):
    """The end of an element."""

    name: str


class SsmlDocument:
    """Parses one document."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.buffer_text = False
        # Newer versions wait for more of a tag that comes in small pieces, and speech would wait with them.
        if hasattr(self._parser, "SetReparseDeferralEnabled"):
            self._parser.SetReparseDeferralEnabled(False)
        self._events: list[Event] = []
        self._open: list[str] = []
        self._bytes = bytearray()
        self._read_bytes = 0
        self._read_characters = 0

    def feed(self, text: str) -> list[Event]:
        """Events that `text` completes.

        Raises:
            InvalidArgument: it is not well-formed, or more than elements and text.
        """
        piece = text.encode()
        self._bytes += piece
        return self._parse(piece, is_last=False)

    def flush(self) -> list[Event]:
        """The last events, at the end of the document; none when there is no document at all.

        Raises:
            InvalidArgument: it is not complete.
        """
        return self._parse(b"", is_last=True) if self._bytes else []

    def _parse(self, piece: bytes, *, is_last: bool) -> list[Event]:
        self._events = []
        try:
            self._parser.Parse(piece, is_last)
        except expat.ExpatError as error:
            raise refusal(error.lineno, error.offset, expat.errors.messages[error.code]) from None
        return self._events

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if not self._open and name != _ROOT:
            raise self._refusal(f"the document must be one <{_ROOT}> element, not <{quote(name)}>")
        if len(self._open) >= _MAX_DEPTH:
            raise self._refusal(f"elements must not stand deeper than {_MAX_DEPTH} in one another")
        self._open.append(name)
        self._events.append(Start(self._place(), name, attributes))

    def _end(self, name: str) -> None:
        self._open.pop()
        self._events.append(End(self._place(), name.rpartition(":")[2]))

    def _text(self, text: str) -> None:
        self._events.append(Text(self._place(), text))

    def _doctype(self, *_: object) -> None:
        raise self._refusal("must not hold a document type")

    def _refusal(self, problem: str) -> InvalidArgument:
        return refusal(self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber, problem)

    def _place(self) -> int:
        """Characters before the event; its place in bytes is the start of a character."""
        place = self._parser.CurrentByteIndex
        self._read_characters += len(self._bytes[self._read_bytes : place].decode())
        self._read_bytes = place
        return self._read_characters


def refusal(line: int, column: int, problem: str) -> InvalidArgument:
    """An error at a place: a line from 1 on, a column from 0 on."""
    return InvalidArgument(FIELD, f"SSML at line {line}, column {column + 1}: {problem}")
