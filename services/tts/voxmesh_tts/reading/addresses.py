"""Addresses, paths and names of files, read part by part: they are the same in every language."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from voxmesh_tts.reading.rules import Match, Rule, one_of

SYMBOLS: Final = {
    ".": "dot",
    "/": "slash",
    "-": "dash",
    "_": "underscore",
    "@": "at",
    ":": "colon",
    "?": "question mark",
    "&": "and",
    "=": "equals",
    "#": "hash",
    "%": "percent",
    "+": "plus",
    "~": "tilde",
    "\\": "backslash",
    ",": "comma",
    ";": "semicolon",
}
_SPELLED: Final = frozenset(
    "ai au ca ch cn de es eu fr fm gg io it jp nl nz pk ru tv uk us "
    "py js ts rs rb sh md cc cpp css csv tsv doc docx exe gif gz html htm jpg jpeg mp3 mp4 pdf php png ppt pptx "
    "svg sql txt xls xlsx xml yml cfg ini tsx jsx h5 http https url id".split()
)
"""Parts that are spelled, not read as words."""
_DOMAINS: Final = "com org net edu gov mil int info dev app ai io co in uk us de fr eu me tv xyz biz tech ca au".split()
_FILES: Final = (
    "py js ts rs rb go sh md cpp css csv tsv doc docx exe gif gz html htm jpg jpeg json log mp3 mp4 pdf php png ppt "
    "pptx svg sql txt wav xls xlsx xml yaml yml toml cfg ini tsx jsx zip java tar"
).split()
_LONGEST: Final = 60
"""Characters of the longest address that is read to its end; of a longer one only the host is."""
_CODE: Final = 3
"""Digits from which on a number in an address is read digit by digit."""
_CLOSING: Final = ".,;:!?)]}'\"\u201d\u2019\u0964/"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

_URL = re.compile(r"(?:https?|ftp)://\S+|\bwww\.\S+", re.IGNORECASE)
_MAIL = re.compile(rf"[A-Za-z0-9][\w.+-]*@(?:{_LABEL}\.)+[A-Za-z]{{2,}}")
_BARE = re.compile(
    rf"(?<![\w@./-])(?:[a-z0-9-]+\.)+(?:{one_of(_DOMAINS)})\b(?:(?::\d+)?[/?#][^\s]*|:\d+)?(?!\.\w)",
)
_PATH = re.compile(r"(?<![\w/.:<])(?:~|\.{1,2})?/[A-Za-z_.][\w.-]*(?:/[\w.-]+)*(?<![.,])")
_FILE = re.compile(rf"(?<![\w.@/-])[A-Za-z][\w-]*\.(?:{one_of(_FILES)})(?![\w/])")
_GOES_ON = re.compile(rf"^\.{_LABEL}(?:\.{_LABEL})*(?:[/:?#@_]\S*)?")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.]*\d)")
_NOT_SPOKEN = re.compile(r"^(?:(?:https?|ftp)://)?(?:www\.)?", re.IGNORECASE)
_PART = re.compile(r"\d+|[^\W\d_]+|\S")

SayNumber = Callable[[str], str]
"""Says a run of digits."""


def rules(count: SayNumber, digits: SayNumber) -> list[Rule]:
    """Rules for addresses, with how the language says a number and how single digits."""

    def spoken(address: str) -> str:
        return _spoken(address, count, digits)

    def whole(match: Match) -> str:
        return _with_closing(match[0], spoken)

    def internet_number(match: Match) -> str:
        return " ".join("dot" if part == "." else digits(part) for part in re.findall(r"\d+|\.", match[0]))

    return [
        (_URL, whole),
        (_MAIL, whole),
        (_GOES_ON, whole),
        (_IP, internet_number),
        (_BARE, whole),
        (_PATH, whole),
        (_FILE, whole),
    ]


def _with_closing(address: str, spoken: Callable[[str], str]) -> str:
    bare = address.rstrip(_CLOSING)
    return spoken(bare) + address[len(bare) :].replace("/", "")


def _spoken(address: str, count: SayNumber, digits: SayNumber) -> str:
    address = _NOT_SPOKEN.sub("", address)
    if len(address) > _LONGEST and "@" not in address:
        address = re.split(r"[/?#]", address, maxsplit=1)[0]

    def part_of(part: str) -> str:
        if part.isdecimal():
            return count(part) if len(part) < _CODE else digits(part)
        return spelled(part) if part.lower() in _SPELLED else SYMBOLS.get(part, part)

    return " ".join(map(part_of, _PART.findall(address)))


def spelled(letters: str) -> str:
    """Letters one by one, so that every voice spells them and none takes A for the article."""
    return "".join(f"{letter}." for letter in letters.upper())
