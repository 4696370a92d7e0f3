"""What Hindi and Kannada write at a number and say with it: ordinals, cases, times of day, parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from voxmesh_tts.reading.indian import kannada
from voxmesh_tts.reading.indian.languages import WORDS, Words
from voxmesh_tts.reading.indian.numerals import cardinal, number
from voxmesh_tts.reading.rules import Match, Rule, one_of

_HINDI_FIRST: Final = {"1": "पहल", "2": "दूसर", "3": "तीसर", "4": "चौथ", "6": "छठ"}
_HINDI_FIRST_ENDING = re.compile(r"(?<![\d.,])([12346])(?:ला|ली|ले|रा|री|रे|था|थी|थे|ठा|ठी|ठे)(?![\u0900-\u097f])")
_HINDI_ENDING = re.compile(r"(?<![\d.,])(\d+)\s?(वाँ|वां|वीं|वी|वें|वे)(?![\u0900-\u097f])")
_HINDI_SIXTH: Final = {"वाँ": "छठा", "वां": "छठा", "वीं": "छठी", "वी": "छठी", "वें": "छठे", "वे": "छठे"}
_HINDI_TIME = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2})(?![\d:])(?:\s?बजे)?")
_HINDI_BECOMES = re.compile(r"\s(?:हु|हो|पर)")
_RUPEE_TO = re.compile(r"(?<=ರೂಪಾಯಿ)ಕ್ಕೆ")
_KANNADA_ENDING = re.compile(r"(?<![\d.,])(\d[\d,]*(?:\.\d+)?)(?:(ನೇ|ನೆ|ರ|ಕ್ಕ)|\s(ರಂದು|ರಲ್ಲಿ|ರಿಂದ|ನೇ|ನೆಯ)(?![\u0c80-\u0cff]))")
_KANNADA_TIME = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2})(?![\d:])(?:\s?(ಗಂಟೆಗೆ|ಕ್ಕೆ|ಗಂಟೆ))?")


def time_rules(language: str) -> list[Rule]:
    """Rules for times of day."""
    match language:
        case "hi":
            return [(_HINDI_TIME, _hindi_time)]
        case "kn":
            return [(_KANNADA_TIME, _kannada_time)]
        case _:
            return []


def rules(language: str) -> list[Rule]:
    """Rules for ordinals and cases."""
    match language:
        case "hi":
            return [(_HINDI_FIRST_ENDING, _hindi_first), (_HINDI_ENDING, _hindi_ordinal)]
        case "kn":
            return [(_KANNADA_ENDING, _kannada_ending), (_RUPEE_TO, lambda _: "ಗೆ")]
        case _:
            return []


def year_pattern(months: Iterable[str]) -> re.Pattern[str]:
    """A year of Hindi: after a month or "the year", or before "in" and "of the decade"."""
    before = rf"(?:{one_of([*months, 'सन्', 'सन', 'वर्ष', 'साल'])}),?\s"
    after = r"(?=\s(?:में|के दशक|ई\.|तक|से|की|का)(?![\u0900-\u097f]))"
    return re.compile(rf"({before}|(?=\d{{4}}{after}))(?<![\d.,/-])(1[1-9]\d\d)(?![\d.,/:-]\d|\d)")


def fraction(above: int, below: int, language: str) -> str:
    """A part that has no name of its own."""
    if language == "kn":
        return f"{kannada.with_ending(cardinal(below, language), 'ನೇ')} {cardinal(above, language)}"
    return f"{cardinal(above, language)} बटा {cardinal(below, language)}"


def span(first: str, second: str, words: Words) -> str:
    """A range whose second number is still to be read."""
    if words.language == "kn":
        return f"{kannada.with_ending(first, 'ರಿಂದ')} {second}"
    return words.spans.format(first, second)


def _hindi_first(match: Match) -> str:
    ending = match[0][-1]
    return _HINDI_FIRST[match[1]] + ending


def _hindi_ordinal(match: Match) -> str:
    if match[1] == "6":
        return _HINDI_SIXTH[match[2]]
    return cardinal(int(match[1]), "hi") + match[2]


def _hindi_time(match: Match) -> str:
    hour, minute = int(match[1]), int(match[2])
    if hour > 24 or minute > 59:
        return match[0].replace(":", " ")
    match minute:
        case 0:
            return f"{cardinal(hour, 'hi')} बजे"
        case 15:
            return f"सवा {cardinal(hour, 'hi')} बजे"
        case 30:
            return {1: "डेढ़ बजे", 2: "ढाई बजे"}.get(hour, f"साढ़े {cardinal(hour, 'hi')} बजे")
        case 45:
            return f"पौने {cardinal(hour % 12 + 1 if hour <= 12 else hour + 1, 'hi')} बजे"
        case _:
            # Something happens at a time; it is or becomes a time without "at".
            at = "" if _HINDI_BECOMES.match(match.string, match.end()) else " पर"
            return f"{cardinal(hour, 'hi')} बजकर {cardinal(minute, 'hi')} मिनट{at}"


def _kannada_time(match: Match) -> str:
    hour, minute = int(match[1]), int(match[2])
    if hour > 24 or minute > 59:
        return match[0].replace(":", " ")
    at = "ಗೆ" if match[3] in ("ಗಂಟೆಗೆ", "ಕ್ಕೆ") else ""
    words = f"{cardinal(hour, 'kn')} ಗಂಟೆ"
    if not minute:
        return words + at
    return f"{words} {cardinal(minute, 'kn')} ನಿಮಿಷ{'ಕ್ಕೆ' if at else ''}"


def _kannada_ending(match: Match) -> str:
    return kannada.with_ending(number(match[1], "kn", WORDS["kn"].point), match[2] or match[3])
