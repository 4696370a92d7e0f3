"""Whisper's languages under their BCP-47 tags, and what a stream wants of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voxmesh_runtime.language_tags import primary

# Whisper calls Javanese by a code that was withdrawn in 1989, and Filipino by one that CLDR has given up.
_TAG_OF_CODE = {"jw": "jv", "tl": "fil"}
_CODE_OF_TAG = {tag: code for code, tag in _TAG_OF_CODE.items()}


def tag_of(code: str) -> str:
    """The BCP-47 tag of one of Whisper's codes."""
    return _TAG_OF_CODE.get(code, code)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The languages of one stream, as Whisper's codes with the caller's own tags."""

    tags: dict[str, str]
    """Likeliest first; empty lets Whisper detect among all it knows."""

    @classmethod
    def of(cls, language_codes: Sequence[str]) -> Wanted:
        """From BCP-47 tags, of which only the language counts: Whisper knows no regions."""
        tags: dict[str, str] = {}
        for tag in language_codes:
            language = primary(tag)
            tags.setdefault(_CODE_OF_TAG.get(language, language), tag)
        return cls(tags)

    @property
    def codes(self) -> tuple[str, ...]:
        """Whisper's codes to choose from."""
        return tuple(self.tags)

    def tag(self, code: str) -> str:
        """The caller's tag for a code, else its plain one."""
        return self.tags.get(code, tag_of(code))
