"""Texts made comparable, as Whisper's evaluation does it, and their errors counted by jiwer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from voxmesh_runtime.language_tags import primary

_UNSPACED = {"zh", "yue", "ja", "th", "lo", "my", "km", "bo"}
"""Languages written without spaces: each character counts as a word, as in Whisper's evaluation."""


@lru_cache
def normalizer(language: str) -> Callable[[str], str]:
    """What makes texts of a language comparable: English spelling and numbers for `en`, else the basic one.

    Marks stay, unlike in Whisper's own basic normaliser, which would drop the vowels of Indic scripts.
    """
    if primary(language) == "en":
        english = EnglishTextNormalizer()
        return lambda text: english(text).strip()
    basic = BasicTextNormalizer(preserve_marks=True, split_letters=is_unspaced(language))
    return lambda text: " ".join(basic(text).split())


def is_unspaced(language: str) -> bool:
    """True for a language written without spaces, where CER counts rather than WER."""
    return primary(language) in _UNSPACED


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors in a text against what was said, in words or in characters."""

    errors: int
    length: int
    """Words or characters that were said."""

    @property
    def rate(self) -> float | None:
        """Errors a word or character; above 1 when much is heard that nobody said; None when nothing was said."""
        return self.errors / self.length if self.length else None

    def __add__(self, other: Self) -> Self:
        return type(self)(self.errors + other.errors, self.length + other.length)


NOTHING = ErrorRate(0, 0)


@dataclass(frozen=True, slots=True)
class Score:
    """One text or many against what was said."""

    words: ErrorRate = NOTHING
    characters: ErrorRate = NOTHING

    def __add__(self, other: Self) -> Self:
        return type(self)(self.words + other.words, self.characters + other.characters)


def score(said: str, heard: str, language: str) -> Score:
    """The errors in `heard`."""
    normal = normalizer(language)
    reference, hypothesis = normal(said), normal(heard)
    words = jiwer.process_words(reference, hypothesis)
    if is_unspaced(language):
        reference, hypothesis = reference.replace(" ", ""), hypothesis.replace(" ", "")
    characters = jiwer.process_characters(reference, hypothesis)
    return Score(_errors(words), _errors(characters))


def total(scores: Sequence[Score]) -> Score:
    """All errors over all words, so that long clips weigh more."""
    return sum(scores, Score())


def _errors(output: jiwer.WordOutput | jiwer.CharacterOutput) -> ErrorRate:
    missed = output.substitutions + output.deletions
    return ErrorRate(missed + output.insertions, missed + output.hits)
