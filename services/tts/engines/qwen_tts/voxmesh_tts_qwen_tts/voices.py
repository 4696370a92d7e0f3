"""What kinds of models there are, and the voices and languages of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from voxmesh_tts.engine import Gender, Voice


class Kind(StrEnum):
    """Where a model's voice comes from; the values are the checkpoints' own."""

    PRESET = "custom_voice"
    """Its own speakers."""
    DESIGN = "voice_design"
    """The caller's description."""
    CLONE = "base"
    """The caller's recording."""


DESIGNED = "designed"
"""Name of the one voice of a `DESIGN` model."""
RECORDED = "recorded"
"""Name of the one voice of a `CLONE` model."""

_TAGS = {
    "chinese": "zh",
    "english": "en",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
}
_DEFAULT = "en"
_PUBLISHED = {
    "aiden": ("en", Gender.MALE),
    "ryan": ("en", Gender.MALE),
    "dylan": ("zh", Gender.MALE),
    "eric": ("zh", Gender.MALE),
    "serena": ("zh", Gender.FEMALE),
    "uncle_fu": ("zh", Gender.MALE),
    "vivian": ("zh", Gender.FEMALE),
    "ono_anna": ("ja", Gender.FEMALE),
    "sohee": ("ko", Gender.FEMALE),
}
"""The published speakers by their card: the language that each was recorded in, and speaks best, and the gender."""


def languages_by_tag(names: Iterable[str]) -> dict[str, str]:
    """The model's names of languages by their BCP-47 tags; dialects belong to speakers, and have none."""
    return {_TAGS[name]: name for name in names if name in _TAGS}


def voices_of(kind: Kind, speakers: Iterable[str], languages: Mapping[str, str]) -> tuple[Voice, ...]:
    """The voices, those who were recorded in English first."""
    match kind:
        case Kind.PRESET:
            names = sorted(speakers, key=lambda name: _about(name)[0] != _DEFAULT)
        case Kind.DESIGN:
            names = [DESIGNED]
        case Kind.CLONE:
            names = [RECORDED]
    return tuple(_voice(name, languages) for name in names)


def follows_instructions(kind: Kind, size: str) -> bool:
    """Whether the package passes instructions on; it drops those for speakers of the 0.6B model."""
    return kind is Kind.DESIGN or (kind is Kind.PRESET and size not in "0b6")


def _voice(name: str, tags: Iterable[str]) -> Voice:
    own, gender = _about(name)
    return Voice(name, tuple(sorted(tags, key=lambda tag: tag != own)), gender)


def _about(name: str) -> tuple[str, Gender]:
    return _PUBLISHED.get(name, (_DEFAULT, Gender.UNKNOWN))
