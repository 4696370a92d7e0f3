"""Money, units, percentages, fractions, ranges and sums in English."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from voxmesh_tts.reading.english.numerals import NUMBER, Region, cardinal, hundreds, number, ordinal, ordinal_of, year
from voxmesh_tts.reading.rules import Match, Rule, one_of

_MONEY: Final = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("U.S. dollar", "U.S. dollars", "cent", "cents"),
    "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "\u20ac": ("euro", "euros", "cent", "cents"),
    "\u00a3": ("pound", "pounds", "penny", "pence"),
    "\u20b9": ("rupee", "rupees", "paisa", "paise"),
    "\u00a5": ("yen", "yen", "", ""),
    "\u20a9": ("won", "won", "", ""),
}
_MONEY_NAMES: Final = {
    "USD": _MONEY["US$"],
    "EUR": _MONEY["\u20ac"],
    "GBP": _MONEY["\u00a3"],
    "INR": _MONEY["\u20b9"],
    "JPY": _MONEY["\u00a5"],
    "Rs": _MONEY["\u20b9"],
    "Rs.": _MONEY["\u20b9"],
}
_ALL_MONEY: Final = {**_MONEY, **_MONEY_NAMES}
_SCALES: Final = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "cr": "crore"}
_SCALE = r"(?:\s?(hundred|thousand|million|billion|trillion|lakhs?|crores?)\b|\s?([kKmMbB]n?|[Cc]r)\b\.?)?"
_UNITS: Final = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "\u00b5m": "micrometer",
    "nm": "nanometer", "mi": "mile", "yd": "yard", "kg": "kilogram", "g": "gram", "mg": "milligram",
    "\u00b5g": "microgram", "mcg": "microgram", "lb": "pound", "lbs": "pound", "oz": "ounce", "l": "liter",
    "L": "liter", "ml": "milliliter", "mL": "milliliter", "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte",
    "GB": "gigabyte", "TB": "terabyte", "PB": "petabyte", "KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte",
    "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "W": "watt", "kWh": "kilowatt hour", "V": "volt",
    "mV": "millivolt", "kV": "kilovolt", "mA": "milliamp", "mAh": "milliamp hour", "kJ": "kilojoule",
    "kcal": "kilocalorie", "cal": "calorie", "Pa": "pascal", "kPa": "kilopascal", "s": "second", "sec": "second",
    "secs": "second", "ms": "millisecond", "\u00b5s": "microsecond", "ns": "nanosecond", "min": "minute",
    "mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour", "yr": "year", "yrs": "year", "ha": "hectare",
    "dB": "decibel", "px": "pixel", "m\u00b2": "square meter", "km\u00b2": "square kilometer",
    "cm\u00b2": "square centimeter", "m\u00b3": "cubic meter", "cm\u00b3": "cubic centimeter",
    "tsp": "teaspoon", "tbsp": "tablespoon", "sq m": "square meter", "sq km": "square kilometer",
    "sq mi": "square mile",
}  # fmt: skip
_FIXED_UNITS: Final = {
    "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kmph": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "mi/h": ("mile per hour", "miles per hour"),
    "bps": ("bit per second", "bits per second"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"),
    "MB/s": ("megabyte per second", "megabytes per second"),
    "GB/s": ("gigabyte per second", "gigabytes per second"),
    "fps": ("frame per second", "frames per second"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "psi": ("pound per square inch", "pounds per square inch"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "ft": ("foot", "feet"),
    "sq ft": ("square foot", "square feet"),
    "sq. ft.": ("square foot", "square feet"),
    "ft\u00b2": ("square foot", "square feet"),
    "\u00b0C": ("degree Celsius", "degrees Celsius"),
    "\u00b0F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "\u00b0": ("degree", "degrees"),
    "\u03a9": ("ohm", "ohms"),
}
_ALL_UNITS: Final = {unit: (name, f"{name}s") for unit, name in _UNITS.items()} | _FIXED_UNITS
_PARTS: Final = {2: "half", 4: "quarter"}
_VULGAR: Final = {
    "\u00bd": (1, 2), "\u00bc": (1, 4), "\u00be": (3, 4), "\u2153": (1, 3), "\u2154": (2, 3), "\u2155": (1, 5),
    "\u2156": (2, 5), "\u2157": (3, 5), "\u2158": (4, 5), "\u2159": (1, 6), "\u215a": (5, 6), "\u215b": (1, 8),
    "\u215c": (3, 8), "\u215d": (5, 8), "\u215e": (7, 8),
}  # fmt: skip
_SAID_OTHERWISE: Final = {(24, 7): "twenty-four seven", (9, 11): "nine eleven"}
_OUT_OF: Final = frozenset({10, 100})

_LONE = r"(?<![\w.])"
_SIGN = r"(-?)"
_SYMBOL = one_of(_MONEY)
_PRICE = re.compile(rf"(?:(\b[Aa]n?\s))?(?<!\w)({one_of(_ALL_MONEY)})\s?{_SIGN}({NUMBER}){_SCALE}(?=(\s[a-z])?)")
_PRICE_RANGE = re.compile(rf"(?<!\w)({_SYMBOL})\s?({NUMBER}){_SCALE}[-\u2013](?:{_SYMBOL})?({NUMBER}){_SCALE}(?![\w%])")
_PRICE_AFTER = re.compile(rf"{_LONE}{_SIGN}({NUMBER}){_SCALE}\s?(\u20ac|\u00a3|\u20b9|{one_of(_MONEY_NAMES)})(?!\w)")
_PER_NAMES: Final = (
    "second sec minute min hour hr day night week month mo year yr user person seat unit item kg lb gallon"
).split()
_PER = re.compile(rf"(?<=[A-Za-z\d]) ?/ ?({one_of(_PER_NAMES)})\b")
_PER_WHAT: Final = {
    "sec": "second",
    "min": "minute",
    "hr": "hour",
    "mo": "month",
    "yr": "year",
    "kg": "kilogram",
    "lb": "pound",
}
_RATIO = re.compile(r"(?<![\w:.])(\d{1,3}(?:\.\d+)?):(\d{1,3}(?:\.\d+)?)(?![\w:])")
_NAMED = re.compile(
    r"\b(Room|Flight [A-Z]\.[A-Z]\.|Flight|Boeing|Suite|Apartment|Apt|Route|Highway|Bus) ([1-9]\d\d)(?![\w,.]*\d)"
)
_MODEL = re.compile(r"(?<![\w.-])([A-Z])([1-9]\d\d)(?!\w)")
_CENTS = re.compile(rf"{_LONE}({NUMBER})\s?\u00a2")
_YEARS = re.compile(rf"{_LONE}((?:1[1-9]|20)\d\d)[-\u2013]((?:1[1-9]|20)\d\d)(?![\w/-])")
_RANGE = re.compile(rf"(?<![\w./-])({NUMBER})(?:[-\u2013\u2014]|\s[\u2013\u2014]\s)(?={NUMBER}(?![\d/-]))")
_ABOUT = re.compile(rf"(?<!\w)~\s?(?=[\d.]|{_SYMBOL})")
_PLUS = re.compile(rf"(?<![\w+])\+(?=[\d.]|{_SYMBOL})")
_GRADE = re.compile(r"(?<![\w-])([A-F])([+-])(?=\s|[.,;]|$)")
_WORDS = re.compile(r"(?<=[a-z])\u2013(?=[a-z])")
_PERCENT = re.compile(rf"{_LONE}{_SIGN}({NUMBER})\s?%")
_UNIT = re.compile(
    rf"{_LONE}{_SIGN}({NUMBER})[\s-]?({one_of(_ALL_UNITS)})(?![\w/'\u2019\u00b2\u00b3])"
    r"(?:(?<=min|sec| hr|.ft)\.(?=\s[a-z]))?"
)
_FEET = re.compile(r"(?<!\w)(\d)\s?['\u2019\u2032]\s?(\d{1,2})(?:\"|''|\u201d|\u2033)")
_BY = re.compile(r"(?<!\w)(\d+)[x\u00d7](\d+)(?!\w)")
_TIMES = re.compile(rf"(?<![\w.+=*/^-])(?<![+=*/^-]\s)({NUMBER})x(?!\w|\s?[-+=*/^<>])")
_ITS_UNIT = rf"(?:\s?({one_of(unit for unit in _ALL_UNITS if len(unit) > 1)})(?![\w/'\u2019])\.?)?"
_MIXED = re.compile(rf"(?<![\w/.])(\d+) (\d{{1,2}})/(\d{{1,2}})(?![\w/]){_ITS_UNIT}")
_VULGAR_MIXED = re.compile(rf"(\d+)?\s?([{''.join(_VULGAR)}]){_ITS_UNIT}")
_FRACTION = re.compile(rf"(?<![\w/.])(\d{{1,3}})/(\d{{1,3}})(?![\w/]){_ITS_UNIT}")
_SHORT_SCALE = re.compile(rf"{_LONE}({NUMBER})(k|M|(?<!\d\d\d)B|bn|mn)(?!\w)")
_POWERS: Final = {"\u00b2": " squared", "\u00b3": " cubed"}
_SUMS: Final = (
    (r"\s?==\s?", "equals"),
    (r"\s?(?:!=|\u2260)\s?", "is not equal to"),
    (r"\s?(?:<=|\u2264)\s?", "is less than or equal to"),
    (r"\s?(?:>=|\u2265)\s?", "is greater than or equal to"),
    (r"(?<=\w)\s?(?:->|=>)\s?(?=\w)", "to"),
    (r"(?<=\w)\s<\s(?=\S)|(?<=\w)<(?=\d)", "is less than"),
    (r"(?<=\w)\s>\s(?=\S)|(?<=\w)>(?=\d)", "is greater than"),
    (r"(?<=[\w)])\s?=\s?(?=\S)", "equals"),
    (r"(?<=[\w)])\s\+\s(?=[\w(])|(?<=\d)\+(?=\d)", "plus"),
    (r"(?<=\d)\+(?!\w)", "plus"),
    (r"(?<=[\w)])\s?[\u00d7\u22c5]\s?(?=[\w(])|(?<=[\d)])\s?\*\s?(?=[\d(])", "times"),
    (r"\s?\u00f7\s?", "divided by"),
    (r"\s?\u00b1\s?", "plus or minus"),
    (r"\s?\u2248\s?", "about"),
    (r"\u221a\s?", "the square root of"),
    (r"\u221e", "infinity"),
    (r"\u03c0", "pi"),
    (r"(?<=\w)\^(?=\w)|(?<=\w)\*\*(?=\w)", "to the power of"),
    (r"(?<=\d)\s-\s(?=\d)|(?<=[\d ][a-z])\s-\s(?=\d)", "minus"),
)


def rules(region: Region) -> list[Rule]:
    """Rules for amounts, after dates and addresses and before plain numbers."""
    return [
        (_ABOUT, lambda _: "about "),
        (_PLUS, lambda _: "plus "),
        (_GRADE, lambda match: f"{match[1]} {'plus' if match[2] == '+' else 'minus'}"),
        (_WORDS, lambda _: " to "),
        (_PRICE_RANGE, partial(_price_range, region)),
        (_PRICE, partial(_price, region)),
        (_PRICE_AFTER, partial(_price_after, region)),
        (_PER, lambda match: f" per {_PER_WHAT.get(match[1], match[1])}"),
        (_RATIO, lambda match: f"{number(match[1], region)} to {number(match[2], region)}"),
        (_NAMED, lambda match: f"{match[1]} {hundreds(int(match[2]))}"),
        (_MODEL, lambda match: f"{match[1]} {hundreds(int(match[2]))}"),
        (_CENTS, lambda match: f"{number(match[1], region)} {'cent' if match[1] == '1' else 'cents'}"),
        (_YEARS, lambda match: f"{year(int(match[1]), region)} to {year(int(match[2]), region)}"),
        (_FEET, lambda match: f"{cardinal(int(match[1]), region)} foot {cardinal(int(match[2]), region)}"),
        (_BY, partial(_by, region)),
        (_MIXED, partial(_mixed, region)),
        (_VULGAR_MIXED, partial(_vulgar, region)),
        (_FRACTION, partial(_fraction, region)),
        (_RANGE, lambda match: f"{match[1]} to "),
        (_PERCENT, lambda match: f"{_signed(match[1])}{number(match[2], region)} percent"),
        (_UNIT, partial(_unit, region)),
        (_TIMES, lambda match: f"{number(match[1], region)} times"),
        (_SHORT_SCALE, lambda match: f"{number(match[1], region)} {_SCALES[match[2].lower()]}"),
        (re.compile(r"(?<![\w.,-])([1-9]\d\d)([A-Z])\b"), lambda match: f"{hundreds(int(match[1]))} {match[2]}"),
        (re.compile("[\u00b2\u00b3]"), lambda match: _POWERS[match[0]]),
        *((re.compile(pattern), partial(_sum, said)) for pattern, said in _SUMS),
    ]


def money(written: str, symbol: str, region: Region) -> str:
    """An amount of money; `symbol` is a sign or a code such as USD."""
    one, many, cent, cents = _ALL_MONEY[symbol]
    whole, _, fraction = written.replace(",", "").partition(".")
    if len(fraction) != 2 or not cent:
        return f"{number(written, region)} {one if written == '1' else many}"
    parts: list[str] = []
    if int(whole) or not int(fraction):
        parts.append(f"{number(whole, region)} {one if whole == '1' else many}")
    if int(fraction):
        parts.append(f"{cardinal(int(fraction), region)} {cent if int(fraction) == 1 else cents}")
    return " and ".join(parts)


def fraction(above: int, below: int, region: Region) -> str:
    """3 over 4 as "three quarters"."""
    name = _PARTS.get(below) or ordinal(below, region)
    if above != 1:
        name = "halves" if below == 2 else f"{name}s"
    return f"{cardinal(above, region)} {name}"


def _signed(sign: str) -> str:
    return "minus " if sign else ""


def _scaled(written: str, word: str | None, letter: str | None, region: Region) -> str:
    scale = word or _SCALES[(letter or "").lower()]
    return f"{number(written, region)} {scale}"


def _price(region: Region, match: Match) -> str:
    article, symbol, sign, written, word, letter, before_noun = match.groups()
    lead = (article or "") + _signed(sign)
    if word or letter:
        return f"{lead}{_scaled(written, word, letter, region)} {_ALL_MONEY[symbol][1]}"
    if article and before_noun and "." not in written:
        return f"{lead}{number(written, region)} {_ALL_MONEY[symbol][0]}"
    return lead + money(written, symbol, region)


def _price_range(region: Region, match: Match) -> str:
    symbol, first, word, letter, second, second_word, second_letter = match.groups()
    start = _scaled(first, word, letter, region) if word or letter else number(first, region)
    scaled = second_word or second_letter
    end = _scaled(second, second_word, second_letter, region) if scaled else number(second, region)
    return f"{start} to {end} {_ALL_MONEY[symbol][1]}"


def _price_after(region: Region, match: Match) -> str:
    sign, written, word, letter, symbol = match.groups()
    if word or letter:
        return f"{_signed(sign)}{_scaled(written, word, letter, region)} {_ALL_MONEY[symbol][1]}"
    return _signed(sign) + money(written, symbol, region)


def _unit(region: Region, match: Match) -> str:
    sign, written, unit = match.groups()
    one, many = _ALL_UNITS[unit]
    name = one if written == "1" else many
    if region.day_first:
        name = re.sub(r"meter|liter", lambda found: f"{found[0][:-2]}re", name)
    return f"{_signed(sign)}{number(written, region)} {name}"


def _by(region: Region, match: Match) -> str:
    sides = [_pixels(side, region) for side in match.groups()]
    return " by ".join(sides)


def _pixels(side: str, region: Region) -> str:
    """1080 as "ten eighty"."""
    if len(side) != 4 or side[0] == "0":
        return number(side, region)
    return year(int(side), region) if side >= "1100" else f"ten {cardinal(int(side[2:]), region)}"


def _mixed(region: Region, match: Match) -> str:
    above, below = int(match[2]), int(match[3])
    return _whole_and(match[1], above, below, match[4], region) if 0 < above < below else match[0]


def _vulgar(region: Region, match: Match) -> str:
    above, below = _VULGAR[match[2]]
    if match[1]:
        return _whole_and(match[1], above, below, match[3], region)
    said = fraction(above, below, region) + _its_unit(match[3], 0)
    return f" {said}" if match[0][:1].isspace() else said


def _whole_and(whole: str, above: int, below: int, unit: str | None, region: Region) -> str:
    part = f"a {_PARTS.get(below) or ordinal(below, region)}" if above == 1 else fraction(above, below, region)
    return f"{number(whole, region)} and {part}{_its_unit(unit, 1)}"


def _its_unit(unit: str | None, form: int) -> str:
    return f" {_ALL_UNITS[unit][form]}" if unit else ""


def _fraction(region: Region, match: Match) -> str:
    above, below = int(match[1]), int(match[2])
    if (above, below) in _SAID_OTHERWISE:
        return _SAID_OTHERWISE[above, below]
    if below in _OUT_OF and above <= below:
        return f"{cardinal(above, region)} out of {cardinal(below, region)}"
    if 0 < above < below <= 100:
        return fraction(above, below, region) + _its_unit(match[3], 0)
    return f"{number(match[1], region)} over {number(match[2], region)}"


def _sum(said: str, match: Match) -> str:
    del match
    return f" {said} "


def number_rules(region: Region) -> list[Rule]:
    """Rules for what is left of numbers: the last of all."""
    return [
        (re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b"), partial(_ordinal, region)),
        (re.compile(r"(?<=[A-Za-z])-(?=\d)"), lambda _: " "),
        (re.compile(r"(?<![^\s(\[\"'\u201c])[-\u2013](?=\.?\d)"), lambda _: "minus "),
        (re.compile(rf"{NUMBER}|\.\d+"), partial(_plain, region)),
    ]


def _ordinal(region: Region, match: Match) -> str:
    return ordinal_of(number(match[1], region))


def _plain(region: Region, match: Match) -> str:
    before = match.string[match.start() - 1 : match.start()] if match.start() else ""
    after = match.string[match.end() : match.end() + 1]
    said = number(match[0], region)
    return f"{' ' if before.isalnum() else ''}{said}{' ' if after.isalnum() else ''}"
