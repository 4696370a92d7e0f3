"""Numbers that are read digit by digit in every language: telephones, cards, codes."""

from __future__ import annotations

import re
from typing import Final

from voxmesh_tts.reading.addresses import SayNumber
from voxmesh_tts.reading.rules import Match, Rule

_NOT_BEFORE = r"(?<![\w.,/:+-])"
_NOT_AFTER = r"(?![\w/]|[-.,]\d)"
_DIGITS_ONLY: Final = (
    r"\(\d{3}\)\s?\d{3}[-.\s]\d{4}",
    r"(?:\d[-.\s])?\d{3}[-.]\d{3}[-.]\d{4}",
    r"\d{3}-\d{4}",
    r"0\d{1,4}[-\s]\d{3,4}[-\s]?\d{3,4}",
    r"\d{4}(?:[ -]\d{4}){2,3}",
    r"\d{5}[ -]\d{5}",
    r"[6-9]\d{9}",
)
_INTERNATIONAL = re.compile(rf"{_NOT_BEFORE}\+(\d[\d\s().-]{{6,18}}\d){_NOT_AFTER}")
_NATIONAL = re.compile(rf"{_NOT_BEFORE}(?:{'|'.join(_DIGITS_ONLY)}){_NOT_AFTER}")


def rules(digits: SayNumber, plus: str) -> list[Rule]:
    """Rules for telephone and card numbers, with how the language says digits and a plus."""
    return [
        (_INTERNATIONAL, lambda match: f"{plus} {digits(match[1])}"),
        (_NATIONAL, lambda match: digits(match[0])),
    ]


def after(words: str, digits: SayNumber) -> Rule:
    """A rule for the number that follows `words`, a pattern with no group, such as that for a code."""

    def code(match: Match) -> str:
        return match[1] + digits(match[2])

    return re.compile(rf"((?<!\w)(?:{words})\s*)(\d{{3,10}})(?![\d/,.:-]\d|\d)"), code
