"""Characters that an upstream writes as two halves, in JSON escapes that may arrive in two deltas."""

from __future__ import annotations

import re

_HALF = re.compile("[\ud800-\udfff]")
_FIRST_HALVES = ("\ud800", "\udbff")


def joined(text: str) -> str:
    """`text` with its halves joined; a half alone is U+FFFD."""
    if text.isascii() or _HALF.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class SurrogateJoiner:
    """Joins the halves of a text that comes in pieces; holds back only a first half at the end."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        """What is certain after `text`."""
        if self._half:
            text, self._half = self._half + text, ""
        if text and _FIRST_HALVES[0] <= text[-1] <= _FIRST_HALVES[1]:
            text, self._half = text[:-1], text[-1]
        return joined(text)

    def flush(self) -> str:
        """What is still held at the end of the text."""
        half, self._half = self._half, ""
        return joined(half)
