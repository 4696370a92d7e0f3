"""English text as it is said."""

from __future__ import annotations

import re
from functools import lru_cache

from voxmesh_tts.reading import addresses, telephone
from voxmesh_tts.reading.english import amounts, calendar, words
from voxmesh_tts.reading.english.numerals import Region, digits, number
from voxmesh_tts.reading.rules import Rule, apply

AMERICAN = Region()
BRITISH = Region(says_and=True, day_first=True)
INDIAN = Region(says_and=True, day_first=True, counts_lakhs=True)

_AMERICAN_TERRITORIES = frozenset({"", "US", "PH", "PR"})
_INDIAN_TERRITORIES = frozenset({"IN", "PK", "BD", "LK", "NP"})
_ANY = re.compile("")
_ADDRESS = re.compile(r"[/@:]|\.\w")
_DIGIT = re.compile(r"\d")
_CAPITALS = re.compile(r"[A-Z][A-Z\d-]")
_SIGN = re.compile(r"""[^\w\s.,;:!?'"()-]|[^\x00-\x7f]|[\d_]""")
_SPACES = re.compile(r"\s+")
_SECOND_STOP = re.compile(r"(?<=[A-Z]\.)\.(?!\.)")
_SPACE_BEFORE_STOP = re.compile(r"\s+(?=[.,;:!?](?:\s|$))")


def region_of(territory: str) -> Region:
    """The English of a territory such as IN."""
    if territory in _AMERICAN_TERRITORIES:
        return AMERICAN
    return INDIAN if territory in _INDIAN_TERRITORIES else BRITISH


def said(text: str, region: Region) -> str:
    """`text` with everything in words."""
    text = text.replace("\u2212", "-")
    for gate, rules in _groups(region):
        if gate.search(text):
            text = apply(rules, text)
    text = _SECOND_STOP.sub("", text)
    return _SPACE_BEFORE_STOP.sub("", _SPACES.sub(" ", text)).strip()


@lru_cache(3)
def _groups(region: Region) -> tuple[tuple[re.Pattern[str], tuple[Rule, ...]], ...]:
    """All rules, each group with what a text must hold to need it.

    What is written in one piece comes first, single numbers and signs last.
    """
    return (
        (_ADDRESS, tuple(addresses.rules(lambda written: number(written, region), digits))),
        (_DIGIT, (*telephone.rules(digits, "plus"), *calendar.rules(region), *words.version_rules(region))),
        (_ANY, (*calendar.name_rules(), *words.code_rules(), *words.word_rules(region))),
        (_SIGN, tuple(amounts.rules(region))),
        (_DIGIT, tuple(calendar.year_rules(region))),
        (_CAPITALS, tuple(words.acronym_rules())),
        (_DIGIT, tuple(amounts.number_rules(region))),
        (_SIGN, tuple(words.sign_rules())),
    )
