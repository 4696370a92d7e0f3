"""Which languages are spoken in a session: by its config, else by what recognisers say or the script they write."""

from __future__ import annotations

import unicodedata
from collections import Counter, deque
from collections.abc import Sequence

from voxmesh_runtime.language_tags import checked, primary

FIELD = "config.recognition.language_codes"
REMEMBERED = 4
"""Utterances that decide."""
ENOUGH = 2
"""Utterances in another language before it is believed: one foreign name is no change of language."""

_BY_SCRIPT = {
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "ARABIC": "ar",
    "HEBREW": "he",
    "CYRILLIC": "ru",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "THAI": "th",
    "GREEK": "el",
}


class SpokenLanguages:
    """The languages of one session.

    Args:
        configured: tags of its config, as its client wrote them; if there are any, they hold.

    Raises from the constructor:
        InvalidArgument: one names no language.
    """

    def __init__(self, configured: Sequence[str]) -> None:
        tags = (checked(f"{FIELD}[{index}]", tag) for index, tag in enumerate(configured))
        self.current = tuple(dict.fromkeys(tags))
        """BCP-47 tags; several mean that they are mixed, none that nothing is known."""
        self._is_fixed = bool(configured)
        self._heard = deque[str](maxlen=REMEMBERED)

    @property
    def only(self) -> str:
        """The one language that is spoken; empty where there are several or nothing is known."""
        return self.current[0] if len(self.current) == 1 else ""

    def heard(self, language_code: str, text: str) -> bool:
        """Take a final transcript; True if the languages changed.

        Args:
            language_code: that the recogniser tells; empty if it tells none.
            text: the transcript.
        """
        found = primary(language_code) or language_of_script(text)
        if self._is_fixed or not found or not text:
            return False
        self._heard.append(found)
        believed = tuple(language for language, count in Counter(self._heard).items() if count >= ENOUGH)
        if list(self._heard)[-ENOUGH:] == [found] * ENOUGH:
            believed = (found,)
        if not believed or set(believed) == set(self.current):
            return False
        self.current = believed
        return True


def language_of_script(text: str) -> str:
    """The language that most of a text's letters suggest; empty for Latin ones, which suggest too many."""
    scripts = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha())
    if not scripts:
        return ""
    if scripts["HIRAGANA"] or scripts["KATAKANA"]:
        return "ja"
    return _BY_SCRIPT.get(scripts.most_common(1)[0][0], "")
