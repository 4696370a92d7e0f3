"""Reads a clause of a stream: no mark-up, and where the service knows the language no digits and signs."""

from __future__ import annotations

from voxmesh_runtime.language_tags import primary
from voxmesh_tts.reading import english, indian
from voxmesh_tts.reading.scripts import INDIAN, language_of, western_digits
from voxmesh_tts.speakable import speakable


class Reader:
    """Reads the text of one stream.

    Args:
        language_code: BCP-47 tag of the text.
        marks_only: leave out mark-up and no more, for an engine that reads numbers well by itself.
    """

    def __init__(self, language_code: str, *, marks_only: bool = False) -> None:
        self.language = primary(language_code)
        """Of the text, without its region."""
        territory = next((part for part in language_code.split("-")[1:] if len(part) == 2), "")
        self._region = english.region_of(territory)
        self._marks_only = marks_only

    def read(self, written: str, *, goes_on: bool = False) -> str:
        """What is said for a clause; empty when it holds nothing to say.

        Args:
            written: the clause.
            goes_on: whether a full stop stands right before it, as in an address.
        """
        text = speakable(written, schemes=not self._marks_only)
        if not text or self._marks_only:
            return text
        language = language_of(text, self.language)
        if language in INDIAN:
            return indian.said(western_digits(text), language)
        if language == "en":
            return english.said(western_digits(f".{text}" if goes_on and not text[0].isupper() else text), self._region)
        return speakable(text)
