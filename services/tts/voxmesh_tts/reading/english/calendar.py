"""Dates, times of day and years in English."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from voxmesh_tts.reading.english.numerals import Region, cardinal, ordinal, year
from voxmesh_tts.reading.rules import Match, Rule, one_of

MONTHS: Final = ("January February March April May June July August September October November December").split()
_MONTH_OF: Final = {
    **{name: number for number, name in enumerate(MONTHS, 1)},
    **{name[:3]: number for number, name in enumerate(MONTHS, 1)},
    "Sept": 9,
}
_DAYS: Final = {name[:3]: name for name in "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()} | {
    "Tues": "Tuesday",
    "Thu": "Thursday",
    "Thurs": "Thursday",
}
_MONTH = rf"({one_of(_MONTH_OF)})\.?"
_YEAR = r"(\d{4})(?![\d:]|,\d)"
_ENDING = r"(?:st|nd|rd|th)?"
_HALF_DAY = r"([AaPp])\.?[Mm](?:\.(?![A-Za-z]))?(?![A-Za-z])"

_ISO = re.compile(r"(?<![\w.-])(\d{4})-(\d{2})-(\d{2})(?:T(?=\d))?(?![\d-])")
_NUMERIC = re.compile(r"(?<![\w./-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)")
_SHORT_DATE = re.compile(r"\b(on|On|by|By|before|until|till|from|since|after) (\d{1,2})/(\d{1,2})(?![\w/])")
_MONTH_DAY = re.compile(rf"\b{_MONTH} (\d{{1,2}}){_ENDING}(?![\d:%]|[.,]\d)(?:,? {_YEAR})?")
_DAY_MONTH = re.compile(rf"\b(?:[Tt]he )?(\d{{1,2}}){_ENDING} (?:of )?{_MONTH}\b(?:,? {_YEAR})?")
_MONTH_YEAR = re.compile(rf"\b{_MONTH},? {_YEAR}")
_DAY_NAME = re.compile(rf"\b({one_of(_DAYS)})(?:\.(?=\s)|(?=,\s(?:\d|{one_of(_MONTH_OF)})))")
_MONTH_NAME = re.compile(rf"\b({one_of(name for name in _MONTH_OF if len(name) <= 4 and name != 'May')})\.")
_DAY_RANGE = re.compile(rf"\b({one_of(_DAYS)})\s?[-\u2013]\s?({one_of(_DAYS)})\b\.?")
_CLOCK = re.compile(rf"(?<![\d:.])(\d{{1,2}}):(\d{{2}})(?::(\d{{2}}))?(?![\d:])(?:\s?{_HALF_DAY})?")
_HOUR = re.compile(rf"(?<![\d:.])(\d{{1,2}})\s?{_HALF_DAY}")
_TIMES = re.compile(r"(?:(?<=\.M\.)|(?<=o'clock))\s?[-\u2013\u2014]\s?(?=\w)")
"""A dash between two times that are in words already."""
_DECADE = re.compile(r"(?<![\w.])(?:(1[1-9]|20)|['\u2019])(\d)0['\u2019]?s\b")
_SINCE: Final = (
    "in since by until till from of year circa around about after before during early late mid and to through "
    "spring summer autumn fall winter class for"
).split()
_BARE_YEAR = re.compile(rf"(?:\b({one_of(_SINCE)})\s|(\())?(?<![\w.,$\u00a3\u20ac-])((?:1[1-9]|20)\d\d)(?![\w,]*\d)")
_COUNTED = re.compile(r"\s(?:people|men|women|children|(?!was\b|is\b|has\b|as\b|its\b|this\b)[a-z]+s)\b")


def rules(region: Region) -> list[Rule]:
    """Rules for dates and times, before any other number is read."""
    return [
        (_ISO, partial(_iso, region)),
        (_NUMERIC, partial(_numeric, region)),
        (_SHORT_DATE, partial(_short_date, region)),
        (_MONTH_DAY, partial(_month_day, region)),
        (_DAY_MONTH, partial(_day_month, region)),
        (_MONTH_YEAR, partial(_month_year, region)),
        (_CLOCK, partial(_clock, region)),
        (_HOUR, partial(_hour, region)),
        (_TIMES, lambda _: " to "),
        (_DECADE, partial(_decade, region)),
    ]


def name_rules() -> list[Rule]:
    """Rules for the short names of days and months."""
    return [
        (_DAY_RANGE, lambda match: f"{_DAYS[match[1]]} to {_DAYS[match[2]]}"),
        (_DAY_NAME, lambda match: _DAYS[match[1]]),
        (_MONTH_NAME, _month_name),
    ]


def year_rules(region: Region) -> list[Rule]:
    """Rules for a year that stands alone, after amounts are read."""
    return [(_BARE_YEAR, partial(_bare_year, region))]


def date(region: Region, day: int, month: int, of_year: int | None) -> str:
    """A day, the way round that people say it."""
    name = MONTHS[month - 1]
    said = f"the {ordinal(day, region)} of {name}" if region.day_first else f"{name} {ordinal(day, region)}"
    return said if of_year is None else f"{said}, {year(of_year, region)}"


def time(region: Region, hour: int, minute: int, second: int | None, half: str) -> str:
    """A time of day; `half` is A, P or empty."""
    words = [cardinal(hour, region)]
    if minute:
        words.append(f"oh {cardinal(minute, region)}" if minute < 10 else cardinal(minute, region))
    elif not half and second is None:
        words.append("o'clock" if 0 < hour <= 12 else "hundred")
    if second is not None:
        words.append(f"and {cardinal(second, region)} {'second' if second == 1 else 'seconds'}")
    return " ".join([*words, f"{half}.M."] if half else words)


def _is_day(day: int, month: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def _iso(region: Region, match: Match) -> str:
    day, month = int(match[3]), int(match[2])
    return date(region, day, month, int(match[1])) if _is_day(day, month) else match[0]


def _numeric(region: Region, match: Match) -> str:
    first, second, written = int(match[1]), int(match[3]), match[4]
    if len(written) == 2 and match[2] != "/":
        return match[0]
    of_year = int(written) if len(written) == 4 else int(written) + (1900 if int(written) > 50 else 2000)
    day_first = region.day_first or match[2] == "."
    day, month = (first, second) if day_first else (second, first)
    if not _is_day(day, month):
        day, month = month, day
    return date(region, day, month, of_year) if _is_day(day, month) else match[0]


def _short_date(region: Region, match: Match) -> str:
    first, second = int(match[2]), int(match[3])
    day, month = (first, second) if region.day_first else (second, first)
    if not _is_day(day, month):
        day, month = month, day
    return f"{match[1]} {date(region, day, month, None)}" if _is_day(day, month) else match[0]


def _month_day(region: Region, match: Match) -> str:
    day = int(match[2])
    if not 1 <= day <= 31:
        return match[0]
    said = f"{MONTHS[_MONTH_OF[match[1]] - 1]} {ordinal(day, region)}"
    return f"{said}, {year(int(match[3]), region)}" if match[3] else said


def _day_month(region: Region, match: Match) -> str:
    day = int(match[1])
    if not 1 <= day <= 31:
        return match[0]
    said = f"the {ordinal(day, region)} of {MONTHS[_MONTH_OF[match[2]] - 1]}"
    return f"{said}, {year(int(match[3]), region)}" if match[3] else said


def _month_year(region: Region, match: Match) -> str:
    return f"{MONTHS[_MONTH_OF[match[1]] - 1]} {year(int(match[2]), region)}"


def _month_name(match: Match) -> str:
    return MONTHS[_MONTH_OF[match[1]] - 1]


def _clock(region: Region, match: Match) -> str:
    hour, minute, second = int(match[1]), int(match[2]), None if match[3] is None else int(match[3])
    if hour > 24 or minute > 59 or (second or 0) > 59:
        return match[0].replace(":", " ")
    return time(region, hour, minute, second, (match[4] or "").upper())


def _hour(region: Region, match: Match) -> str:
    hour = int(match[1])
    return time(region, hour, 0, None, match[2].upper()) if 1 <= hour <= 12 else match[0]


def _decade(region: Region, match: Match) -> str:
    tens = cardinal(int(match[2]) * 10, region)
    if match[2] in "01":
        return (
            match[0]
            if not match[1]
            else f"{cardinal(int(match[1]), region)} {'hundreds' if match[2] == '0' else 'tens'}"
        )
    plural = f"{tens[:-1]}ies"
    return f"{cardinal(int(match[1]), region)} {plural}" if match[1] else plural


def _bare_year(region: Region, match: Match) -> str:
    lead = match[0][: -len(match[3])]
    number = int(match[3])
    counted = _COUNTED.match(match.string, match.end())
    if counted or not (match[1] or match[2] or number >= 1800):
        return match[0]
    return lead + year(number, region)
