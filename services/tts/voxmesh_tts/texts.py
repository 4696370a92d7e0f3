"""Check the text that callers send: its length, and nothing in it that is no text."""

from __future__ import annotations

import re

from voxmesh_runtime.control_tokens import LONGEST, refuse_control_tokens
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.refusals import check_count

MAX_PIECE_CHARACTERS = 10_000
"""Longest text of one message."""
MAX_SEGMENT_CHARACTERS = 50_000
"""Longest text of one segment."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def check_text(field: str, text: str, max_characters: int) -> None:
    """Refuse a text that is too long or holds what cannot be spoken.

    Raises:
        InvalidArgument: names `field` and what is wrong with it.
    """
    _check_characters(field, text, max_characters)
    refuse_control_tokens(field, text)


class SeamGuard:
    """Finds control tokens in a text that comes in pieces, also where one is split between two of them."""

    def __init__(self) -> None:
        self._tail = ""

    def check(self, text: str) -> None:
        """Take the next piece.

        Raises:
            InvalidArgument: it holds a control token.
        """
        refuse_control_tokens("text.text", text)
        refuse_control_tokens("text.text", self._tail + text[:LONGEST])
        self._tail = (self._tail + text)[-LONGEST:]


class SegmentTextGuard:
    """Checks the pieces of one segment's text.

    In `markup` control tokens are no matter: `</s>` is a tag of SSML. What is read of it is checked by itself.
    """

    def __init__(self, *, markup: bool = False) -> None:
        self._characters = 0
        self._seam = None if markup else SeamGuard()

    def check(self, text: str) -> None:
        """Take the next piece.

        Raises:
            InvalidArgument: it must not be spoken.
        """
        _check_characters("text.text", text, MAX_PIECE_CHARACTERS)
        self._characters += len(text)
        if self._characters > MAX_SEGMENT_CHARACTERS:
            problem = f"the segment must have at most {MAX_SEGMENT_CHARACTERS} characters, not {self._characters}"
            raise InvalidArgument("text.text", problem)
        if self._seam is not None:
            self._seam.check(text)


def _check_characters(field: str, text: str, max_characters: int) -> None:
    check_count(field, len(text), max_characters)
    control = _CONTROL.search(text)
    if control is not None:
        raise InvalidArgument(field, f"must not hold the control character U+{ord(control.group()):04X}")
