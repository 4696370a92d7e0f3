"""Whether two transcripts hold the same words."""

from __future__ import annotations

import unicodedata


def is_same_speech(one: str, other: str) -> bool:
    """Both are the same words, however they are punctuated."""
    return one == other or _letters(one) == _letters(other)


def _letters(text: str) -> str:
    # Vowel signs of Indian scripts are marks, and words differ by nothing else.
    return "".join(c for c in text.casefold() if unicodedata.category(c)[0] in "LMN")
