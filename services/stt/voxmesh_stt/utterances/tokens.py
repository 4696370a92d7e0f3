"""The words of a text as two texts are compared by: without case and punctuation, in any script."""

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(
    # A character of a script written without spaces is a token of its own.
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]\s*"
    r"|[^\s\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+\s*"
)


def tokens_of(text: str) -> list[str]:
    """Words with what follows them up to the next; put together they are the text."""
    return _TOKEN.findall(text)


def plain(token: str) -> str:
    """What is spoken of a token; of one that is punctuation alone, all."""
    return "".join(c for c in token.casefold() if _is_spoken(c)) or token.strip()


def _is_spoken(character: str) -> bool:
    # Vowel signs of Indian scripts are marks, and words differ by nothing else.
    return character.isalnum() or unicodedata.category(character).startswith("M")
