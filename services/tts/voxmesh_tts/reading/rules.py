"""How a language's readings are written down: patterns of what is written, each with what is said for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Match = re.Match[str]
Rule = tuple[re.Pattern[str], Callable[[Match], str]]
"""What is found in a text, and what is said instead."""


def apply(rules: Iterable[Rule], text: str) -> str:
    """`text` after every rule, one after another: an earlier one decides what a later one sees."""
    for pattern, say in rules:
        text = pattern.sub(say, text)
    return text


def one_of(words: Iterable[str]) -> str:
    """A pattern for any of `words`, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
