"""Cut SSML that is still being written into clauses, with the characters of the document that each holds."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Final

from voxmesh_tts.clauses import Clause, ClauseCutter, ends_word
from voxmesh_tts.engine import PROSODY_RATE, ClauseLimits
from voxmesh_tts.reading import Reader
from voxmesh_tts.ssml.document import End, Event, SsmlDocument, Start, Text, refusal
from voxmesh_tts.ssml.values import BadValue, break_s, rate, said_as
from voxmesh_tts.texts import SeamGuard

SERVICE_ELEMENTS: Final = frozenset({"break", "p", "s", "say-as", "sub"})
"""What every engine's speech heeds, because it is done here."""
_SILENT: Final = frozenset({"desc", "metadata"})
"""Elements whose text is about the speech, not part of it."""
_WHOLE: Final = frozenset({"say-as", "sub"})
"""Elements that are read as one."""
_ESCAPE = re.compile(r"&#?\w+;")
_BLOCKS: Final = frozenset({"p", "s"})


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a run of the text came from."""

    place: int
    """Its first character in the text."""
    start: int
    end: int
    """Its characters in the document."""
    is_literal: bool
    """Whether they are the same ones."""


class SsmlCutter:
    """Takes one document in pieces of any size; see `voxmesh_tts.clauses.ClauseCutter`.

    Args:
        heeded: elements that the engine or the service heeds.
    """

    def __init__(
        self, limits: ClauseLimits, reader: Reader, heeded: frozenset[str], *, continues: bool = False
    ) -> None:
        self._cutter = ClauseCutter(limits, reader.read, continues=continues)
        self._language = reader.language
        self._document = SsmlDocument()
        self._guard = SeamGuard()
        self._heeded = heeded
        self._source = ""
        self._length = 0
        self._origins: list[_Origin] = []
        self._paces = [1.0]
        self._silent = 0
        self._whole: list[Start] = []
        self._content = ""

    def feed(self, text: str) -> list[Clause]:
        """Clauses that `text` completes.

        Raises:
            InvalidArgument: it is no SSML, with the place.
        """
        self._source += text
        return self._all(self._document.feed(text))

    def flush(self) -> list[Clause]:
        """The last clauses.

        Raises:
            InvalidArgument: the document is not complete.
        """
        return [*self._all(self._document.flush()), *self._cut()]

    def _all(self, events: list[Event]) -> list[Clause]:
        return [clause for event in events for clause in self._one(event)]

    def _one(self, event: Event) -> list[Clause]:
        try:
            match event:
                case Start():
                    return self._start(event)
                case End():
                    return self._end(event)
                case Text():
                    return self._text(event)
                case _:
                    return []
        except BadValue as error:
            raise refusal(*_place(self._source, event.start), str(error)) from None

    def _start(self, event: Start) -> list[Clause]:
        if event.name in _SILENT:
            self._silent += 1
        elif event.name in _WHOLE:
            self._whole.append(event)
        elif event.name in _BLOCKS:
            return self._cut()
        elif event.name == "break":
            return self._break(event)
        elif event.name == "prosody" and PROSODY_RATE in self._heeded:
            clauses = self._cut()
            self._paces.append(self._paces[-1] * rate(event.attributes))
            return clauses
        return []

    def _end(self, event: End) -> list[Clause]:
        if event.name in _SILENT:
            self._silent -= 1
        elif event.name in _WHOLE:
            return self._end_whole(event)
        elif event.name in _BLOCKS:
            return _as_sentence(self._cut())
        elif event.name == "prosody" and PROSODY_RATE in self._heeded:
            clauses = self._cut()
            self._paces.pop()
            return clauses
        return []

    def _text(self, event: Text) -> list[Clause]:
        if self._silent:
            return []
        if self._whole:
            self._content += event.text
            return []
        escape = _ESCAPE.match(self._source, event.start)
        # In a CDATA section an ampersand is one.
        is_literal = escape is None or (len(event.text) > 1 and event.text[0] == "&")
        end = event.start + len(event.text) if is_literal or escape is None else escape.end()
        # Line breaks mean nothing in XML.
        return self._say(event.text.replace("\n", " "), event.start, end, is_literal=is_literal)

    def _end_whole(self, event: End) -> list[Clause]:
        element = self._whole.pop()
        if self._whole or self._silent:
            return []
        content, self._content = self._content, ""
        if element.name == "sub":
            content = element.attributes.get("alias", content)
        else:
            content = said_as(content, element.attributes, self._language)
        return self._say(content, element.start, self._source.index(">", event.start) + 1, is_literal=False)

    def _say(self, text: str, start: int, end: int, *, is_literal: bool) -> list[Clause]:
        self._guard.check(text)
        self._origins.append(_Origin(self._length, start, end, is_literal))
        self._length += len(text)
        return self._placed(self._cutter.feed(text))

    def _break(self, event: Start) -> list[Clause]:
        seconds = break_s(event.attributes)
        if self._silent or not seconds:
            return []
        end = self._source.index(">", event.start) + 1
        return [*self._cut(), Clause("", event.start, end, pause_s=seconds)]

    def _cut(self) -> list[Clause]:
        return self._placed(self._cutter.cut())

    def _placed(self, clauses: list[Clause]) -> list[Clause]:
        """`clauses` with their places in the document."""
        return [
            replace(clause, start=self._first(clause.start), end=self._last(clause.end - 1), pace=self._paces[-1])
            for clause in clauses
        ]

    def _first(self, place: int) -> int:
        origin = self._origin(place)
        return origin.start + place - origin.place if origin.is_literal else origin.start

    def _last(self, place: int) -> int:
        origin = self._origin(place)
        return origin.start + place - origin.place + 1 if origin.is_literal else origin.end

    def _origin(self, place: int) -> _Origin:
        return self._origins[bisect_right(self._origins, place, key=lambda origin: origin.place) - 1]


def _as_sentence(clauses: list[Clause]) -> list[Clause]:
    """`clauses` with a full stop at the end, which gives them the tune and the pause of a sentence."""
    if not clauses or not ends_word(clauses[-1].text):
        return clauses
    return [*clauses[:-1], replace(clauses[-1], text=f"{clauses[-1].text}.")]


def _place(source: str, start: int) -> tuple[int, int]:
    """Line, from 1, and column, from 0, of a character."""
    before = source[:start]
    return before.count("\n") + 1, start - before.rfind("\n") - 1
