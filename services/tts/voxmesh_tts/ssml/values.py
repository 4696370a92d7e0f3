"""What the attributes of SSML elements mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from voxmesh_tts.reading.addresses import SYMBOLS

MAX_BREAK_S: Final = 10.0
SLOWEST: Final = 0.25
FASTEST: Final = 4.0
_STRENGTHS: Final = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 0.75, "x-strong": 1.25}
_RATES: Final = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
_TIME = re.compile(r"\+?(\d{0,6}(?:\.\d{1,6})?)(ms|s)")
_RATE = re.compile(r"([+-]?)(\d{1,4}(?:\.\d{1,6})?)(%?)")
_ORDINAL: Final = {"hi": "वाँ", "kn": "ನೇ"}
"""Written at a number it makes an ordinal."""
_ENGLISH_ORDINAL: Final = {"1": "st", "2": "nd", "3": "rd"}
_GROUPED: Final = frozenset({"en", "hi", "kn"})
"""Languages in which 2,024 is no year."""
_DATE_ORDERS: Final = frozenset({"mdy", "dmy", "ymd"})
_DATE_PARTS: Final = {"y": r"(?P<y>\d{4})\D*", "m": r"(?P<m>\d{1,2})\D*", "d": r"(?P<d>\d{1,2})\D*"}


class BadValue(ValueError):
    """An attribute that says nothing; the message says what to write."""


def break_s(attributes: Mapping[str, str]) -> float:
    """Seconds of silence of a break; no length and no strength means a medium one.

    Raises:
        BadValue: no time, no strength, or too long.
    """
    if "time" not in attributes:
        strength = attributes.get("strength", "medium")
        if strength not in _STRENGTHS:
            raise BadValue(f"a break's strength must be one of {', '.join(_STRENGTHS)}")
        return _STRENGTHS[strength]
    time = _TIME.fullmatch(attributes["time"].strip())
    if time is None or not time[1]:
        raise BadValue('a break\'s time must be like "500ms" or "1.5s"')
    seconds = float(time[1]) / (1000 if time[2] == "ms" else 1)
    if seconds > MAX_BREAK_S:
        raise BadValue(f"a break's time must be at most {MAX_BREAK_S:g} s")
    return seconds


def rate(attributes: Mapping[str, str]) -> float:
    """How many times as fast as around it; 1 when the element says nothing of it.

    Raises:
        BadValue: no rate.
    """
    written = attributes.get("rate", "default").strip()
    if written in _RATES:
        return _RATES[written]
    number = _RATE.fullmatch(written)
    if number is None or (number[1] and not number[3]):
        raise BadValue(f'a rate must be like "80%", "+10%" or "1.2", or one of {", ".join(_RATES)}')
    value = float(number[2]) / (100 if number[3] else 1)
    value = 1 + value if number[1] == "+" else 1 - value if number[1] == "-" else value
    return min(FASTEST, max(SLOWEST, value))


def said_as(text: str, attributes: Mapping[str, str], language: str) -> str:
    """`text` written so that it is read as the element asks; as it is where that says nothing.

    Raises:
        BadValue: it does not say as what.
    """
    match attributes.get("interpret-as", "").strip():
        case "":
            raise BadValue("a say-as must have the attribute interpret-as")
        case "characters" | "spell-out" | "verbatim":
            return "".join(map(_character, text)).strip()
        case "digits" | "telephone":
            return _digits(text)
        case "cardinal" | "number":
            return _cardinal(text) if language in _GROUPED else text
        case "ordinal":
            return _ordinal(text.strip(), language)
        case "date":
            return _date(text, attributes.get("format", ""))
        case _:
            return text


def _character(character: str) -> str:
    if character.isspace():
        return ""
    return f"{character.upper()}." if character.isalpha() else f" {SYMBOLS.get(character, character)} "


def _digits(text: str) -> str:
    """Digits apart, so that each is a number of its own."""
    return ", ".join(" ".join(group) for group in re.findall(r"\+?\d+", text)).replace("+ ", "+")


def _cardinal(text: str) -> str:
    # Four digits alone could be a year.
    bare = text.strip().replace(",", "")
    return f"{int(bare):,}" if re.fullmatch(r"\d{4}", bare) else text


def _ordinal(text: str, language: str) -> str:
    if not text.isdecimal():
        return text
    if language != "en":
        return text + _ORDINAL.get(language, "")
    is_teen = text[-2:-1] == "1"
    return text + ("th" if is_teen else _ENGLISH_ORDINAL.get(text[-1], "th"))


def _date(text: str, order: str) -> str:
    """A whole date as ISO has it, which is read alike in every language."""
    if order not in _DATE_ORDERS:
        return text
    found = re.fullmatch(r"\D*" + "".join(map(_DATE_PARTS.__getitem__, order)), text)
    return text if found is None else f"{found['y']}-{found['m']:0>2}-{found['d']:0>2}"
