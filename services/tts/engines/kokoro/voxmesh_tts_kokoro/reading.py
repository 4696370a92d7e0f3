"""A clause as the model takes it: strings of phonemes, and which of them each word is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hibari.g2p import G2P
from hibari.g2p.normalize import normalize

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
"""Phonemes that are spoken in one piece, about 12 s; of more memory grows, and nobody else has a turn meanwhile."""
# Errors of the dictionary's rules on text that nobody foresaw.
_UNREADABLE = (ValueError, LookupError, ArithmeticError, AttributeError, TypeError)
_AROUND_WORDS = "\"'\u201c\u201d\u2018\u2019\xab\xbb()[]{}<>.,;:!?\u2026\u2014\u2013-*_"


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word of the clause, and its phonemes: those from `start` up to `end`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What is spoken in one piece."""

    phonemes: str
    words: tuple[PlacedWord, ...]


class Reader:
    """Reads English aloud, on paper.

    Args:
        british: whether as in Britain, else as in America.
        phonemes: all that the model knows.
    """

    def __init__(self, phonemes: Iterable[str], *, british: bool) -> None:
        self._g2p = G2P(british=british)
        self._known = frozenset(phonemes)

    def read(self, clause: str) -> list[Reading]:
        """The pieces of a clause; none when nothing in it can be read."""
        phonemes, words = self._phonemes(self._tokens(clause))
        return [piece for piece in pieces(phonemes, words) if any(map(str.isalpha, piece.phonemes))]

    def _tokens(self, text: str) -> list[Any]:
        """Tokens of the library, each with its text, phonemes and what stands between it and the next."""
        tokens = self._read(text)
        if tokens is not None:
            return tokens
        tokens = []
        for word in text.split():
            of_word = self._read(word) or []
            for last in of_word[-1:]:
                last.whitespace = " "
            tokens += of_word
        return tokens

    def _read(self, text: str) -> list[Any] | None:
        try:
            return self._g2p.phonemize_tokens(self._g2p.tokenize(normalize(text)))
        except _UNREADABLE as error:
            # Neither the text nor the message, which may quote it.
            log.warning("text cannot be read", extra={"error": type(error).__name__, "characters": len(text)})
            return None

    def _phonemes(self, tokens: Iterable[Any]) -> tuple[str, list[PlacedWord]]:
        """All phonemes, and the spoken words among them: what stands between two spaces, without its punctuation."""
        phonemes, words, text, start, end = "", [], "", 0, 0
        for token in tokens:
            of_token = "".join(filter(self._known.__contains__, token.phonemes or ""))
            phonemes += of_token
            text += token.text
            if any(map(str.isalpha, of_token)):
                end = len(phonemes)
            if token.whitespace:
                words.append(PlacedWord(_bare(text), start, max(start, end)))
                phonemes += " "
                text, start = "", len(phonemes)
        words.append(PlacedWord(_bare(text), start, max(start, end)))
        return phonemes.rstrip(), [word for word in words if word.end > word.start]


def pieces(phonemes: str, words: Iterable[PlacedWord]) -> Iterator[Reading]:
    """`phonemes` cut after spaces into pieces that are not too long; a word that is cut ends with its piece."""
    start = 0
    while start < len(phonemes):
        end = min(len(phonemes), start + MOST_AT_ONCE)
        if end < len(phonemes):
            end = phonemes.rfind(" ", start, end) + 1 or end
        inside = (word for word in words if start <= word.start < end)
        own = tuple(PlacedWord(word.text, word.start - start, min(word.end, end) - start) for word in inside)
        yield Reading(phonemes[start:end].rstrip(), own)
        start = end


def _bare(word: str) -> str:
    return word.strip(_AROUND_WORDS)
