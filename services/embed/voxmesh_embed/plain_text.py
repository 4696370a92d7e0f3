"""Reads a model's own marks in a text as what they are there: characters.

A tokenizer takes `<|im_end|>` or `</think>` wherever it stands for the mark itself; cut in two, it is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


class Marks:
    """The marks that a tokenizer knows.

    Args:
        marks: all that it would not read as text.
    """

    def __init__(self, marks: Iterable[str]) -> None:
        # The longest first, and looking ahead, so that marks within marks are found too.
        known = sorted((re.escape(mark) for mark in marks if len(mark) > 1), key=len, reverse=True)
        self._pattern = re.compile(f"(?={'|'.join(known)})") if known else None

    def pieces(self, text: str) -> list[str]:
        """`text` in pieces that hold no mark; put together they are the text."""
        if self._pattern is None:
            return [text]
        cuts = [match.start() + 1 for match in self._pattern.finditer(text)]
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if start < end]
