"""Separate thoughts that a model writes inline, as <think>...</think>, from its answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

_OPEN = "<think>"
_CLOSE = "</think>"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of the answer, or of the thoughts before it."""

    text: str
    is_thought: bool


class _State(Enum):
    BEGINNING = auto()
    THINKING = auto()
    AFTER_THOUGHTS = auto()
    ANSWERING = auto()


class ThinkingSplitter:
    """Takes an answer in pieces cut anywhere; only a tag at its very beginning opens thoughts.

    Text is held back only while it may be part of a tag.
    """

    def __init__(self) -> None:
        self._state = _State.BEGINNING
        self._held = ""

    def feed(self, text: str) -> list[Piece]:
        """What is certain after `text`."""
        self._held += text
        pieces: list[Piece] = []
        while (step := self._step()) is not None:
            pieces.append(step)
        return [piece for piece in pieces if piece.text]

    def flush(self) -> list[Piece]:
        """What is still held at the end of the answer."""
        held, self._held = self._held, ""
        return [Piece(held, self._state is _State.THINKING)] if held else []

    def _step(self) -> Piece | None:
        """Move as far as the text allows; None when more is needed."""
        if not self._held:
            return None
        match self._state:
            case _State.BEGINNING:
                return self._begin()
            case _State.THINKING:
                return self._think()
            case _State.AFTER_THOUGHTS:
                return self._begin_answer()
            case _State.ANSWERING:
                return self._take(len(self._held), is_thought=False)

    def _begin(self) -> Piece | None:
        text = self._held.lstrip()
        if text.startswith(_OPEN):
            self._held = text.removeprefix(_OPEN)
            self._state = _State.THINKING
        elif _OPEN.startswith(text):
            return None
        else:
            self._state = _State.ANSWERING
        return Piece("", is_thought=False)

    def _think(self) -> Piece | None:
        end = self._held.find(_CLOSE)
        if end >= 0:
            piece = self._take(end, is_thought=True)
            self._held = self._held.removeprefix(_CLOSE)
            self._state = _State.AFTER_THOUGHTS
            return piece
        certain = len(self._held) - _overlap(self._held, _CLOSE)
        return self._take(certain, is_thought=True) if certain else None

    def _begin_answer(self) -> Piece:
        self._held = self._held.lstrip()
        if self._held:
            self._state = _State.ANSWERING
        return Piece("", is_thought=False)

    def _take(self, length: int, *, is_thought: bool) -> Piece:
        text, self._held = self._held[:length], self._held[length:]
        return Piece(text, is_thought)


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    return next((size for size in range(min(len(text), len(tag) - 1), 0, -1) if text.endswith(tag[:size])), 0)
