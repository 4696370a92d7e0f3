"""In which language a text is read: its script decides before anything else is looked at."""

from __future__ import annotations

import re
from typing import Final

_LANGUAGES_OF: Final = {
    ("\u0900", "\u097f"): ("hi", "mr", "ne"),
    ("\u0980", "\u09ff"): ("bn", "as"),
    ("\u0a00", "\u0a7f"): ("pa",),
    ("\u0a80", "\u0aff"): ("gu",),
    ("\u0b00", "\u0b7f"): ("or",),
    ("\u0b80", "\u0bff"): ("ta",),
    ("\u0c00", "\u0c7f"): ("te",),
    ("\u0c80", "\u0cff"): ("kn",),
    ("\u0d00", "\u0d7f"): ("ml",),
}
"""Blocks of Indian scripts, and the languages that are read in them, the usual one first."""
_URDU: Final = "ur"
_ARABIC = re.compile("[\u0600-\u06ff]")
_NATIVE_DIGIT = re.compile(r"[^\D0-9]")
_LATIN = re.compile("[A-Za-z]")
_INDIAN = re.compile("[\u0900-\u0d7f]")
_DANDAS: Final = "\u0964\u0965"
"""Full stops of every Indian script; they lie in the block of Devanagari."""
INDIAN: Final = frozenset({*(language for languages in _LANGUAGES_OF.values() for language in languages), _URDU})


def language_of(text: str, expected: str) -> str:
    """The language of a text in a stream whose language is `expected`: en, one of `INDIAN`, or another."""
    for character in _INDIAN.findall(text):
        if character not in _DANDAS and not character.isdecimal():
            return _of_script(character, expected)
    if expected == _URDU and _ARABIC.search(text):
        return _URDU
    # A voice of an Indian language that meets a sentence in Latin letters reads English.
    return "en" if expected in INDIAN and _LATIN.search(text) else expected


def western_digits(text: str) -> str:
    """`text` with the digits of every script as 0 to 9."""
    return _NATIVE_DIGIT.sub(lambda digit: str(int(digit[0])), text)


def _of_script(character: str, expected: str) -> str:
    for (first, last), languages in _LANGUAGES_OF.items():
        if first <= character <= last:
            return expected if expected in languages else languages[0]
    return expected
