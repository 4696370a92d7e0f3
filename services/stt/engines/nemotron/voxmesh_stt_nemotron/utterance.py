"""From tokens to the words and text of one utterance."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from voxmesh_stt.engine import Word
from voxmesh_stt_nemotron.tokens import Token
from voxmesh_stt_nemotron.vocabulary import Vocabulary


@dataclass(slots=True)
class SpokenWord:
    """A word and the tokens that it is made of, or a phrase that was spotted in their place."""

    tokens: list[Token]
    text: str = ""

    @property
    def first_frame(self) -> int:
        """Frame of its first token."""
        return self.tokens[0].frame

    @property
    def last_frame(self) -> int:
        """Frame of its last token."""
        return self.tokens[-1].frame

    @property
    def confidence(self) -> float:
        """Mean over its tokens."""
        return _mean(self.tokens)


@dataclass(slots=True)
class Utterance:
    """Words so far; greedy decoding never takes a token back."""

    vocabulary: Vocabulary
    words: list[SpokenWord] = field(default_factory=list[SpokenWord])

    @classmethod
    def of(cls, tokens: list[Token], vocabulary: Vocabulary) -> Utterance:
        """The utterance of all its tokens at once."""
        utterance = cls(vocabulary)
        for token in tokens:
            utterance.add(token)
        return utterance

    def add(self, token: Token) -> None:
        """Append a token: to the last word, or as a new one."""
        if not self.words or self.vocabulary.begins_word(token.id):
            self.words.append(SpokenWord([]))
        word = self.words[-1]
        word.tokens.append(token)
        word.text = self.vocabulary.text([part.id for part in word.tokens])

    @property
    def text(self) -> str:
        """All of it."""
        return _joined(self.words)

    @property
    def stable_character_count(self) -> int:
        """Characters up to the last word, which may still grow."""
        return len(_joined(self.words[:-1]))

    @property
    def confidence(self) -> float | None:
        """Mean over all tokens; None without any."""
        tokens = list(chain.from_iterable(word.tokens for word in self.words))
        return _mean(tokens) if tokens else None

    def timed(self, frame_s: float, start_s: float, end_s: float) -> tuple[Word, ...]:
        """The words on a clock on which frame 0 is at `start_s` and the audio ends at `end_s`."""
        return tuple(
            Word(
                word.text,
                min(start_s + word.first_frame * frame_s, end_s),
                min(start_s + (word.last_frame + 1) * frame_s, end_s),
                word.confidence,
            )
            for word in self.words
            if word.text
        )


def _joined(words: list[SpokenWord]) -> str:
    return " ".join(word.text for word in words if word.text)


def _mean(tokens: list[Token]) -> float:
    return sum(token.confidence for token in tokens) / len(tokens)
