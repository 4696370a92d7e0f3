"""Text of Indian languages as it is said: Hindi and Kannada in full, of the others numbers and amounts."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from voxmesh_tts.reading import addresses, telephone
from voxmesh_tts.reading.indian import endings, numerals
from voxmesh_tts.reading.indian.languages import WORDS, Words
from voxmesh_tts.reading.rules import Match, Rule, apply, one_of

_NUMBER = r"(?:\d{1,3}(?:,\d{2,3})*,\d{3}|\d+)(?:\.\d+)?"
_LONE = r"(?<![\w.])"
_ISO = re.compile(r"(?<![\w.-])(\d{4})-(\d{2})-(\d{2})(?![\d-])")
_DATE = re.compile(r"(?<![\w./-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|(?<=/)\d{2})(?![/-]|\.?\d)")
_FRACTION = re.compile(r"(?<![\w/.])(\d{1,2})/(\d{1,2})(?![\d/])")
_VULGAR: Final = {"½": (1, 2), "¼": (1, 4), "¾": (3, 4), "⅓": (1, 3), "⅔": (2, 3)}
_RANGE = re.compile(rf"(?<![\w./$€£¥₹-])({_NUMBER})\s?[-\u2013\u2014]\s?({_NUMBER})(?![\d/-])")
_MINUS = re.compile(r"(?<![^\s(\[\"'])[-\u2013](?=\d)")
_PERCENT = re.compile(rf"{_LONE}({_NUMBER})\s?%")
_ANY_NUMBER = re.compile(_NUMBER)
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_STOP = re.compile(r"\s+(?=[.,;:!?\u0964](?:\s|$))")


def said(text: str, language: str) -> str:
    """`text` of a language in `voxmesh_tts.reading.scripts.INDIAN`, digits as 0 to 9, with everything in words."""
    text = apply(_rules(language), text.replace("\u2212", "-"))
    return _SPACE_BEFORE_STOP.sub("", _SPACES.sub(" ", text)).strip()


@lru_cache(len(WORDS))
def _rules(language: str) -> tuple[Rule, ...]:
    reader = _Reader(WORDS[language])
    return (
        *addresses.rules(reader.number, reader.digits),
        *telephone.rules(reader.digits, WORDS[language].plus),
        telephone.after(WORDS[language].code_words, reader.digits),
        *reader.date_rules(),
        *endings.time_rules(language),
        *reader.amount_rules(),
        *endings.rules(language),
        *reader.sign_rules(),
        (_ANY_NUMBER, reader.plain),
    )


class _Reader:
    """One language's readings."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def number(self, written: str) -> str:
        return numerals.number(written, self._words.language, self._words.point)

    def digits(self, written: str) -> str:
        return numerals.digits(written, self._words.language)

    def date_rules(self) -> list[Rule]:
        rules: list[Rule] = [(_abbreviations(self._words), self._abbreviation)]
        if self._words.months:
            rules += [(_ISO, self._iso), (_DATE, self._date)]
        if self._words.century_years:
            rules.append((endings.year_pattern(self._words.months), self._year))
        return rules

    def amount_rules(self) -> list[Rule]:
        words = self._words
        scale = rf"(?:\s?({one_of(words.scales)})(?!\w))?" if words.scales else r"(?:(?!)())?"
        signs = one_of([*words.rupee_signs, *words.money])
        before = rf"({signs})\s?({_NUMBER}){scale}(?:/-)?"
        after = rf"{_LONE}({_NUMBER}){scale}\s?({signs})(?![\w\u0900-\u0d7f])"
        rules: list[Rule] = [
            (re.compile(rf"({signs})\s?({_NUMBER})[-\u2013]({_NUMBER})(?![\d/-])"), self._money_range),
            (_RANGE, self._range),
            (re.compile(before), lambda match: self._money(match[2], match[3], match[1])),
            (re.compile(after), lambda match: self._money(match[1], match[2], match[3])),
            (_PERCENT, lambda match: words.percent.format(self.number(match[1]))),
        ]
        if words.units:
            unit = rf"{_LONE}(-?)({_NUMBER})\s?({one_of(words.units)})(?![\w\u0900-\u0d7f])"
            rules.append((re.compile(unit), self._unit))
        if words.fractions:
            rules += [(_FRACTION, self._fraction), (re.compile("[½¼¾⅓⅔]"), self._vulgar)]
        return [*rules, (_MINUS, lambda _: f"{words.minus} ")]

    def sign_rules(self) -> list[Rule]:
        words = self._words
        named = {"+": words.plus, "=": words.equals, "×": words.times, "&": words.joins}
        return [
            (re.compile(rf"\s?{re.escape(sign)}\s?"), lambda match: f" {named[match[0].strip()]} ")
            for sign, name in named.items()
            if name
        ]

    def plain(self, match: Match) -> str:
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        spoken = self.number(match[0])
        return f"{' ' if before.isalnum() else ''}{spoken}{' ' if after.isalnum() and after.isascii() else ''}"

    def _abbreviation(self, match: Match) -> str:
        is_before_digit = match.string[match.end() : match.end() + 1].isdigit()
        return self._words.abbreviations[match[0]] + (" " if is_before_digit else "")

    def _iso(self, match: Match) -> str:
        return self._day(match, int(match[3]), int(match[2]), match[1])

    def _date(self, match: Match) -> str:
        year = match[4] if len(match[4]) > 2 else f"{'19' if match[4] > '50' else '20'}{match[4]}"
        return self._day(match, int(match[1]), int(match[3]), year)

    def _day(self, match: Match, day: int, month: int, year: str) -> str:
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return match[0]
        day_words = numerals.cardinal(day, self._words.language)
        return f"{day_words} {self._words.months[month - 1]} {self._of_year(int(year))}"

    def _year(self, match: Match) -> str:
        return match[1] + self._of_year(int(match[2]))

    def _of_year(self, year: int) -> str:
        language = self._words.language
        if not self._words.century_years or not 1100 <= year < 2000:
            return numerals.cardinal(year, language)
        hundreds = f"{numerals.cardinal(year // 100, language)} सौ"
        return f"{hundreds} {numerals.cardinal(year % 100, language)}" if year % 100 else hundreds

    def _money(self, written: str, scale: str | None, sign: str) -> str:
        words = self._words
        name = words.money.get(sign, words.rupees)
        if scale:
            return f"{self.number(written)} {scale} {name}"
        whole, _, fraction = written.replace(",", "").partition(".")
        is_rupees = sign not in words.money
        if is_rupees and words.paise and len(fraction) == 2:
            paise = f" {numerals.cardinal(int(fraction), words.language)} {words.paise}" if int(fraction) else ""
            return f"{self.number(whole)} {name}{paise}"
        return f"{self.number(written)} {words.rupee if is_rupees and written == '1' and words.rupee else name}"

    def _money_range(self, match: Match) -> str:
        """The second amount is left to be read, with its sign and what is written at it."""
        return endings.span(self.number(match[2]), f"{match[1]}{match[3]}", self._words)

    def _unit(self, match: Match) -> str:
        minus = f"{self._words.minus} " if match[1] else ""
        return f"{minus}{self.number(match[2])} {self._words.units[match[3]]}"

    def _fraction(self, match: Match) -> str:
        above, below = int(match[1]), int(match[2])
        return self._words.fractions.get((above, below)) or endings.fraction(above, below, self._words.language)

    def _vulgar(self, match: Match) -> str:
        above, below = _VULGAR[match[0]]
        return self._words.fractions.get((above, below)) or endings.fraction(above, below, self._words.language)

    def _range(self, match: Match) -> str:
        return endings.span(self.number(match[1]), match[2], self._words)


def _abbreviations(words: Words) -> re.Pattern[str]:
    if not words.abbreviations:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<![\w.\u0900-\u0d7f])(?:{one_of(words.abbreviations)})(?=\s|\d|$|(?<=\s))")
