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
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_STOP = re.compile(r"\s+(?=[.,;:!?](?:\s|$))")


def region_of(territory: str) -> Region:
    """The English of a territory such as IN."""
    if territory in _AMERICAN_TERRITORIES:
        return AMERICAN
    return INDIAN if territory in _INDIAN_TERRITORIES else BRITISH


def said(text: str, region: Region) -> str:
    """`text` with everything in words."""
    text = apply(_rules(region), text.replace("\u2212", "-"))
    return _SPACE_BEFORE_STOP.sub("", _SPACES.sub(" ", text)).strip()


@lru_cache(3)
def _rules(region: Region) -> tuple[Rule, ...]:
    """All rules: what is written in one piece first, single numbers and signs last."""
    return (
        *addresses.rules(lambda written: number(written, region), digits),
        *telephone.rules(digits, "plus"),
        *calendar.rules(region),
        *words.code_rules(region),
        *words.word_rules(region),
        *amounts.rules(region),
        *calendar.year_rules(region),
        *words.acronym_rules(),
        *amounts.number_rules(region),
        *words.sign_rules(),
    )
