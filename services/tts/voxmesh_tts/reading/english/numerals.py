"""Numbers in English words, as in America, Britain or India."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS: Final = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_THOUSANDS: Final = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_LAKHS: Final = ((10**7, "crore"), (10**5, "lakh"), (10**3, "thousand"))
_LONGEST_NAMED: Final = 15
"""Digits of the longest number that has a name people follow; longer ones are read digit by digit."""
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

NUMBER: Final = r"(?:\d{1,3}(?:,\d{2,3})*,\d{3}|\d+)(?:\.\d+)?"
"""A number as it is written, grouped as in the West or in India."""


@dataclass(frozen=True, slots=True)
class Region:
    """What differs from one English to another."""

    says_and: bool = False
    """Whether it is "one hundred and five"."""
    day_first: bool = False
    """Whether 5/12 is in December."""
    counts_lakhs: bool = False
    """Whether 100,000 is one lakh."""


def cardinal(number: int, region: Region) -> str:
    """42 as "forty-two"."""
    if number < 0:
        return f"minus {cardinal(-number, region)}"
    if number < 1000:
        return _below_thousand(number, region)
    words: list[str] = []
    for scale, name in _LAKHS if region.counts_lakhs else _THOUSANDS:
        count, number = divmod(number, scale)
        if count:
            words.append(f"{cardinal(count, region)} {name}")
    if number:
        words.append(f"and {_below_hundred(number)}" if region.says_and and number < 100 else cardinal(number, region))
    return " ".join(words)


def ordinal(number: int, region: Region) -> str:
    """42 as "forty-second"."""
    return ordinal_of(cardinal(number, region))


def ordinal_of(words: str) -> str:
    """The ordinal of a number in words."""
    last = re.split(r"[ -]", words)[-1]
    if last in _ORDINALS:
        ending = _ORDINALS[last]
    else:
        ending = f"{last[:-1]}ieth" if last.endswith("y") else f"{last.removesuffix('t')}th"
    return words[: -len(last)] + ending


def year(number: int, region: Region) -> str:
    """1905 as "nineteen oh five"."""
    century, rest = divmod(number, 100)
    if not 11 <= century <= 99 or (century % 10 == 0 and rest < 10):
        return cardinal(number, region)
    return f"{_below_hundred(century)} {_pair(rest)}"


def hundreds(number: int) -> str:
    """A house number: 221 as "two twenty-one"."""
    return f"{ONES[number // 100]} {_pair(number % 100)}"


def digits(written: str) -> str:
    """Every digit by its name; what stands between groups of them becomes a comma."""
    groups = re.findall(r"\d+", written)
    return ", ".join(" ".join(ONES[int(digit)] for digit in group) for group in groups)


def number(written: str, region: Region) -> str:
    """A number as it is written, such as 1,234.50 or 007, in words."""
    whole, _, fraction = written.replace(",", "").partition(".")
    if not fraction and (len(whole) > _LONGEST_NAMED or (len(whole) > 1 and whole[0] == "0")):
        return digits(whole)
    words = cardinal(int(whole), region) if 0 < len(whole) <= _LONGEST_NAMED else digits(whole)
    return f"{words} point {digits(fraction)}".lstrip() if fraction else words


def _below_thousand(number: int, region: Region) -> str:
    count, rest = divmod(number, 100)
    if not count:
        return _below_hundred(rest)
    words = f"{ONES[count]} hundred"
    if not rest:
        return words
    return f"{words}{' and' if region.says_and else ''} {_below_hundred(rest)}"


def _below_hundred(number: int) -> str:
    if number < len(ONES):
        return ONES[number]
    ten, one = divmod(number, 10)
    return f"{_TENS[ten]}-{ONES[one]}" if one else _TENS[ten]


def _pair(rest: int) -> str:
    if rest == 0:
        return "hundred"
    return f"oh {ONES[rest]}" if rest < 10 else _below_hundred(rest)
