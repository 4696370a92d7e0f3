"""The words by which sessions are told apart: each session asks about its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

LISTS: dict[str, tuple[str, ...]] = {
    "Ada": ("river", "mountain", "forest", "desert", "island", "ocean", "garden", "valley", "beach", "storm"),
    "Bob": ("doctor", "teacher", "soldier", "farmer", "painter", "singer", "lawyer", "baker", "sailor", "driver"),
    "Cleo": ("kitchen", "bedroom", "window", "table", "chair", "bottle", "mirror", "candle", "carpet", "ladder"),
    "Dora": ("elephant", "tiger", "rabbit", "monkey", "chicken", "donkey", "spider", "turtle", "parrot", "camel"),
}
"""By the name of a session."""
WORDS = frozenset(word for words in LISTS.values() for word in words)


def question_for(word: str) -> str:
    """What is asked about a word."""
    return f"Please tell me about the {word}."


def words_in(text: str) -> list[str]:
    """The words of any session in a text, in order."""
    return [word for word in re.findall(r"[a-z]+", text.lower()) if word in WORDS]


def of_others(name: str, words: Sequence[str]) -> list[str]:
    """Those that are another session's."""
    return [word for word in words if word not in LISTS[name]]
