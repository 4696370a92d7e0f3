"""Cut text that is still being written into clauses, each spoken as soon as it is complete.

A cut depends only on the text before it and on the next character where that decides, so
that text gives the same clauses in whatever pieces it comes. A full stop after a word ends the
clause at once: to wait for the character after it would make a reply of one sentence wait
for the end of the writer's stream. The price is that `example.com` is cut when a piece ends
right after its full stop, and said as "example" and "dot com"; addresses with `://`, `www.` or
`@` are not.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Protocol

from voxmesh_tts.engine import ClauseLimits
from voxmesh_tts.fences import CodeFences
from voxmesh_tts.punctuation import (
    ABBREVIATIONS,
    CLAUSE_WORDS,
    FULL_PAUSES,
    FULL_STOPS,
    MONTHS,
    OPENERS,
    PAUSES,
    SHORT_DAYS,
    STOPS,
    WORD_CLOSERS,
)
from voxmesh_tts.speakable import has_speech, leading_closers, speakable

_ADDRESS = re.compile(r"://|^\W*www(?:\.|$)|@", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"\s*\d{1,3}")
_MONTH = f"(?:{'|'.join(MONTHS)})"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE_GOES_ON = re.compile(rf"(?:{_MONTH}\.?\s{_DAY}|\b{_DAY}\s(?:of\s)?{_MONTH}|\b(?:{'|'.join(SHORT_DAYS)}))$")
"""What a comma does not end: the rest of the date belongs to it."""
_HOLDS_NEXT = re.compile(rf"(?:\d|[$€£¥₹+#]|\b{_MONTH}\.?|(?:^|\s)(?:{'|'.join(ABBREVIATIONS)})\.)$")
"""What no clause ends after, however long it is: what follows belongs to it."""
_LONGEST_HOLD: Final = 24
_NUMBERED: Final = frozenset({"No", "Nos"})
"""Words that are an abbreviation before a digit only."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of a segment's text; `start` and `end` are characters of the segment's text as sent."""

    text: str
    """What is spoken of it; empty for a pause alone."""
    start: int
    end: int
    written: str = ""
    """The same as it was written."""
    pause_s: float = 0.0
    """Seconds of silence after it."""
    pace: float = 1.0
    """How many times as fast as the stream it is spoken."""


class Read(Protocol):
    """Says what is spoken for a piece of text; empty when nothing is.

    `goes_on` means that a full stop stands right before it, as in an address.
    """

    def __call__(self, written: str, *, goes_on: bool = False) -> str:
        """What is spoken for `written`."""
        ...


def without_marks(written: str, *, goes_on: bool = False) -> str:
    """What is spoken where nothing but mark-up is left out."""
    del goes_on
    return speakable(written)


class _Cut(enum.Enum):
    NO = enum.auto()
    AFTER = enum.auto()
    """The clause ends with this character."""
    UNKNOWN = enum.auto()
    """The next character decides."""


class ClauseCutter:
    """Takes one segment's text in pieces of any size and gives the clauses that are complete.

    Where it `continues` speech that was begun elsewhere, its first clause is one like any other.
    """

    def __init__(self, limits: ClauseLimits, read: Read = without_marks, *, continues: bool = False) -> None:
        self._limits = limits
        self._read = read
        self._fences = CodeFences()
        self._text = ""
        """Text that no clause holds yet."""
        self._offset = 0
        """Place of `_text` in the segment."""
        self._scanned = 0
        """Characters of `_text` that were looked at and do not end the clause."""
        self._is_first = not continues
        self._goes_on = False
        """Whether the last clause ended with a full stop and nothing stands between it and `_text`."""

    def feed(self, text: str) -> list[Clause]:
        """Clauses that `text` completes."""
        return self._add(self._fences.feed(text))

    def cut(self) -> list[Clause]:
        """The clause that ends here whatever follows."""
        clauses = [*self._add(self._fences.flush()), *self._take(len(self._text))]
        self._goes_on = False
        return clauses

    def flush(self) -> list[Clause]:
        """The last clauses, at the end of the segment."""
        return self.cut()

    def _add(self, text: str) -> list[Clause]:
        self._text += text
        clauses: list[Clause] = []
        while (end := self._next_end()) is not None:
            clauses += self._take(end)
        return clauses

    def _next_end(self) -> int | None:
        while self._scanned < len(self._text):
            cut = self._cut_at(self._scanned)
            if cut is _Cut.UNKNOWN:
                return None
            self._scanned += 1
            if cut is _Cut.AFTER:
                return self._scanned
            if self._scanned >= self._maximum:
                return self._space_before(self._scanned)
        return None

    def _take(self, end: int) -> list[Clause]:
        raw, self._text = self._text[:end], self._text[end:]
        start = self._offset + leading_closers(raw)
        goes_on = self._goes_on and raw[:1].isalnum()
        clause = Clause(self._read(raw, goes_on=goes_on), start, self._offset + len(raw.rstrip()), raw)
        self._goes_on = raw[-1:] == "."
        self._offset += end
        self._scanned = 0
        if not clause.text:
            return []
        self._is_first = False
        return [clause]

    def _cut_at(self, index: int) -> _Cut:
        character = self._text[index]
        if character in "\r\n" or character in FULL_STOPS:
            return self._if_speech(index)
        if character in STOPS:
            return self._at_stop(index)
        if character in FULL_PAUSES:
            return self._if_long(index)
        if character in PAUSES:
            return self._at_pause(index)
        return _Cut.NO

    def _at_stop(self, index: int) -> _Cut:
        word = self._word_before(index)
        is_address = bool(_ADDRESS.search(word)) or self._is_rest_of_address(word)
        if self._if_speech(index) is _Cut.NO or self._is_abbreviation(index, word):
            return _Cut.NO
        if self._text[index] != "." and not is_address:
            return _Cut.AFTER
        following = self._text[index + 1 : index + 2]
        if word.lstrip(OPENERS) in _NUMBERED and has_speech(self._text[: index - len(word)]):
            return self._if_no_number(index)
        if not word and not following.isspace():
            # It may begin a number, a path or a name such as .NET.
            return _Cut.NO if following else _Cut.UNKNOWN
        if not following:
            return _Cut.UNKNOWN if is_address or not ends_word(word) else _Cut.AFTER
        return _Cut.NO if following.isalnum() or (is_address and not following.isspace()) else _Cut.AFTER

    def _if_no_number(self, index: int) -> _Cut:
        following = self._text[index + 1 : index + 3]
        if following in ("", " "):
            return _Cut.UNKNOWN
        return _Cut.NO if following[0].isalnum() or following.lstrip(" ")[:1].isdecimal() else _Cut.AFTER

    def _at_pause(self, index: int) -> _Cut:
        if self._if_long(index) is _Cut.NO or _DATE_GOES_ON.search(self._text, 0, index):
            return _Cut.NO
        following = self._text[index + 1 : index + 2]
        if not following:
            return _Cut.UNKNOWN
        return _Cut.AFTER if following.isspace() else _Cut.NO

    def _is_abbreviation(self, index: int, word: str) -> bool:
        if self._text[index] != ".":
            return False
        bare = word.lstrip(OPENERS)
        if _LIST_NUMBER.fullmatch(self._text, 0, index):
            return True
        is_initial = bare[-1:].isalpha() and (len(bare) == 1 or bare[-2] == ".")
        return bare in ABBREVIATIONS or (is_initial and bare != "I")

    def _is_rest_of_address(self, word: str) -> bool:
        return self._goes_on and self._text[:1].isalnum() and self._text.startswith(word)

    def _holds_next(self, space: int) -> bool:
        return bool(_HOLDS_NEXT.search(self._text[max(0, space - _LONGEST_HOLD) : space]))

    def _word_after(self, space: int, end: int) -> str:
        """The whole word after a space; empty when it may go on behind `end`."""
        word, gap, _ = self._text[space + 1 : end].partition(" ")
        return word if gap else ""

    def _word_before(self, index: int) -> str:
        start = index
        while start and not self._text[start - 1].isspace():
            start -= 1
        return self._text[start:index]

    def _if_speech(self, index: int) -> _Cut:
        return _Cut.AFTER if has_speech(self._text[: index + 1]) else _Cut.NO

    def _if_long(self, index: int) -> _Cut:
        minimum = self._limits.first_minimum if self._is_first else self._limits.minimum
        text = self._text[: index + 1]
        return _Cut.AFTER if len(text) - leading_closers(text) >= minimum and has_speech(text) else _Cut.NO

    @property
    def _maximum(self) -> int:
        return self._limits.first_maximum if self._is_first else self._limits.maximum

    def _space_before(self, end: int) -> int:
        """Where a clause that is too long ends: after a space where speech may pause, else after any, else anywhere."""
        spaces = [place for place in range(end - 1, 0, -1) if self._text[place].isspace()]
        apart = [place for place in spaces if not self._holds_next(place)]
        breath = [place for place in apart if place >= end // 2 and self._word_after(place, end) in CLAUSE_WORDS]
        for space in (*breath[:1], *apart[:1], *spaces[:1]):
            if has_speech(self._text[:space]):
                return space + 1
        # What follows may be a mark on the last character, which then moves to the next clause.
        base = end - 1
        while base > 1 and unicodedata.category(self._text[base]).startswith("M"):
            base -= 1
        return base


def ends_word(text: str) -> bool:
    """Whether the last character is a letter or a mark on one, as most words of Indian languages end."""
    last = text.rstrip(WORD_CLOSERS)[-1:]
    return bool(last) and unicodedata.category(last)[0] in "LM"
