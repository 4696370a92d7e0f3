"""How long a text takes to say, in sounds: the one measure that all scripts share.

The model is told the length of its speech, and fills it. The library takes bytes of UTF-8, by
which a Kannada letter lasts three times as long as an English one. Here a text is counted in
sounds, as far as its spelling tells them: a letter of the Indian scripts is a consonant and the
vowel that is written on it or else inherent, unless a virama takes it away or the language drops
it at the end of words; an English letter is a little less than one sound. A recording then says
how long a sound lasts in its voice, whatever script comes next.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from functools import lru_cache

from voxmesh_tts.punctuation import FULL_PAUSES, FULL_STOPS, PAUSES, STOPS

_DROPS_LAST_VOWEL = frozenset(["DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI"])
"""As Unicode calls the scripts in which the vowel inherent in a word's last letter is silent."""
SCRIPTS = _DROPS_LAST_VOWEL | {"ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "LATIN"}
"""Scripts that the model can say."""
_LATIN_SOUNDS = 0.85
"""Of an English letter: several spell one sound, and some none."""
_CAPITAL_SOUNDS = 2.0
"""Of a letter that is named, as in USB."""
_WORD_SOUNDS = 4.0
"""Of what is read as a word: a digit, a currency."""
_PAUSE_SOUNDS = 3.0
_STOP_SOUNDS = 4.0
"""A fifth and a third of a second of silence within a text."""

_CLAUSE_BONUS = 0.05
"""How much of a text's time a cut may be off to lie at the end of a clause."""

_JOINERS = "\u200c\u200d"
_READ_SYMBOLS = "%&+@°"
_VOWEL = re.compile(r"(?:LETTER|VOWEL) (?:VOCALIC|SHORT|CANDRA|[AEIOU])")
_DEAD_CONSONANT = re.compile(r"CHILLU|KHANDA|POLLU|TIPPI|ADDAK|ANUSVARA|BINDU|BINDI|VISARGA|AVAGRAHA")
_WORD = re.compile(r"\S+")
_CAPITALS = re.compile(r"[^\W\d_]{2,5}")


class _Kind(enum.Enum):
    SILENT = enum.auto()
    """Changes another character, or nothing."""
    CONSONANT = enum.auto()
    VOWEL = enum.auto()
    VOWEL_SIGN = enum.auto()
    VIRAMA = enum.auto()
    SOUND = enum.auto()
    """A sound without a vowel of its own."""
    LATIN = enum.auto()
    READ = enum.auto()
    """Read as a word."""
    PUNCTUATION = enum.auto()
    FOREIGN = enum.auto()
    """Nothing that the model can say."""


def sayable(text: str) -> str:
    """`text` on one line, without what the model cannot say: other scripts, emoji and invisible characters."""
    return " ".join("".join(map(_shown, unicodedata.normalize("NFKC", text))).split())


def sounds(text: str) -> float:
    """How many sounds a `sayable` text has, with the pauses in it; 0 where there is nothing to say."""
    words = [match[0] for match in _WORD.finditer(text)]
    said = [_word_sounds(word) for word in words]
    # The silence behind the last word is no part of a recording or of speech.
    last = max((place for place, count in enumerate(said) if count), default=0)
    return sum(said) + sum(_pause_sounds(word) for word in words[:last])


def pieces(text: str, most: float) -> list[str]:
    """A sayable text in pieces of at most `most` sounds, cut between words, and within one that is longer."""
    found: list[str] = []
    for word in (part for match in _WORD.finditer(text) for part in _parts(match[0], most)):
        together = f"{found[-1]} {word}" if found else word
        if found and sounds(together) <= most:
            found[-1] = together
        else:
            found.append(word)
    return found


def beginning(text: str, share: float) -> str:
    """The first words of a text that take about `share` of its time, to the end of a clause if one ends near there."""
    words = text.split()
    wanted = share * sounds(text)
    misses: list[tuple[float, int]] = []
    for count in range(1, len(words) + 1):
        head = " ".join(words[:count])
        bonus = _CLAUSE_BONUS * sounds(text) if _pause_sounds(head) else 0.0
        misses.append((abs(sounds(head) - wanted) - bonus, count))
    return " ".join(words[: min(misses)[1]])


def _parts(word: str, most: float) -> list[str]:
    """A word, cut between letters that do not join."""
    if sounds(word) <= most:
        return [word]
    parts = [word[0]]
    for character in word[1:]:
        if _begins_letter(parts[-1], character) and sounds(parts[-1] + character) > most:
            parts.append("")
        parts[-1] += character
    return parts


def _begins_letter(before: str, character: str) -> bool:
    is_mark = _kind(character) in {_Kind.SILENT, _Kind.VOWEL_SIGN, _Kind.VIRAMA}
    return not is_mark and _kind(before[-1]) not in {_Kind.VIRAMA, _Kind.SILENT}


def _word_sounds(word: str) -> float:
    if _is_spelled(word):
        return sum(_CAPITAL_SOUNDS for character in word if character.isalpha())
    return sum(_sounds_at(word, place) for place in range(len(word)))


def _is_spelled(word: str) -> bool:
    bare = word.strip("".join(STOPS | PAUSES | FULL_STOPS) + "()'\"")
    return bool(_CAPITALS.fullmatch(bare)) and bare.isupper()


def _sounds_at(word: str, place: int) -> float:
    match _kind(word[place]):
        case _Kind.CONSONANT:
            return 2.0 if _has_inherent_vowel(word, place) else 1.0
        case _Kind.VOWEL | _Kind.VOWEL_SIGN | _Kind.SOUND:
            return 1.0
        case _Kind.LATIN:
            return _LATIN_SOUNDS
        case _Kind.READ:
            return _WORD_SOUNDS
        case _:
            return 0.0


def _has_inherent_vowel(word: str, place: int) -> bool:
    following = next((kind for c in word[place + 1 :] if (kind := _kind(c)) is not _Kind.SILENT), None)
    if following in {_Kind.VOWEL_SIGN, _Kind.VIRAMA}:
        return False
    is_last = following in {None, _Kind.PUNCTUATION}
    is_first = not any(_kind(c) in {_Kind.CONSONANT, _Kind.VOWEL} for c in word[:place])
    return not (is_last and not is_first and _script(word[place]) in _DROPS_LAST_VOWEL)


def _pause_sounds(text: str) -> float:
    mark = text.rstrip("\"')]}\u2019\u201d")[-1:]
    if mark in STOPS | FULL_STOPS:
        return _STOP_SOUNDS
    return _PAUSE_SOUNDS if mark in PAUSES | FULL_PAUSES else 0.0


def _shown(character: str) -> str:
    # Such as a soft hyphen, which must not cut a word in two.
    if unicodedata.category(character) == "Cf" and character not in _JOINERS:
        return ""
    return " " if _kind(character) is _Kind.FOREIGN else character


@lru_cache(maxsize=4096)
def _kind(character: str) -> _Kind:
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    if category[0] in "LM" and _script(character) in SCRIPTS:
        return _Kind.LATIN if name.startswith("LATIN") else _indic(name, category)
    if category in {"Nd", "Sc"} or character in _READ_SYMBOLS:
        return _Kind.READ
    if category == "Mn" or character in _JOINERS:
        return _Kind.SILENT
    if category[0] in "PZ" or character.isspace():
        return _Kind.PUNCTUATION
    return _Kind.FOREIGN


def _indic(name: str, category: str) -> _Kind:
    if "VOWEL SIGN" in name:
        return _Kind.VOWEL_SIGN
    if name.endswith("SIGN VIRAMA"):
        return _Kind.VIRAMA
    if _DEAD_CONSONANT.search(name):
        return _Kind.SOUND
    if category[0] == "M":
        return _Kind.SILENT
    return _Kind.VOWEL if _VOWEL.search(name) else _Kind.CONSONANT


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]
