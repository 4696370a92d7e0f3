"""Separate thoughts that a model writes inline, as <think>...</think>, from its answer.

Templates of some models open the thoughts themselves, so that their answers hold the closing tag alone. Which ones
do so is set by the operator, or learned from an answer; only with them is text held back until the tag comes.
"""

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


class ThinkingHabits:
    """Whose answers begin with thoughts that no tag opens.

    Args:
        always: as the operator says; None learns it.
    """

    def __init__(self, *, always: bool | None) -> None:
        self._always = always
        self._seen: set[object] = set()

    def begins_with_thoughts(self, model: object) -> bool:
        """True for a model whose next answer is held until its thoughts are over."""
        return model in self._seen if self._always is None else self._always

    def learn(self, model: object, splitter: ThinkingSplitter) -> None:
        """Remember how an answer of `model` went."""
        if splitter.saw_closing_tag_alone:
            self._seen.add(model)
        elif splitter.waited_in_vain:
            self._seen.discard(model)


class _State(Enum):
    OPENED_BY_TEMPLATE = auto()
    BEGINNING = auto()
    THINKING = auto()
    AFTER_THOUGHTS = auto()
    ANSWERING = auto()
    ANSWERING_WITH_TAGS = auto()


class ThinkingSplitter:
    """Takes an answer in pieces cut anywhere.

    Text is held back only while it may be part of a tag.

    Args:
        begins_with_thoughts: the template has opened them; text is held back until the closing tag.
    """

    def __init__(self, *, begins_with_thoughts: bool = False) -> None:
        self._state = _State.OPENED_BY_TEMPLATE if begins_with_thoughts else _State.BEGINNING
        self._held = ""
        self._passed = ""
        self.saw_closing_tag_alone = False
        """The answer showed that the model's template opens its thoughts."""
        self.waited_in_vain = False
        """Thoughts were waited for, and there were none."""

    def feed(self, text: str) -> list[Piece]:
        """What is certain after `text`."""
        self._held += text
        return self._steps()

    def no_thoughts(self) -> list[Piece]:
        """The upstream tells thoughts apart itself: nothing has to be held back for them."""
        if self._state is not _State.OPENED_BY_TEMPLATE:
            return []
        self._state = _State.BEGINNING
        return self._steps()

    def flush(self, *, is_cut: bool = False) -> list[Piece]:
        """What is still held at the end of the answer, which the limit may have cut."""
        if self._state is _State.ANSWERING and self._held == _CLOSE:
            self.saw_closing_tag_alone, self._held = True, ""
        is_thought = self._state is _State.THINKING
        if self._state is _State.OPENED_BY_TEMPLATE:
            # A model that was not made to think answers at once; one that was cut had not come to its answer.
            is_thought, self.waited_in_vain = is_cut, not is_cut and bool(self._held)
            self._state = _State.ANSWERING
        held, self._held = self._held, ""
        return [Piece(held, is_thought)] if held else []

    def _steps(self) -> list[Piece]:
        pieces: list[Piece] = []
        while (step := self._step()) is not None:
            pieces.append(step)
        return [piece for piece in pieces if piece.text]

    def _step(self) -> Piece | None:
        """Move as far as the text allows; None when more is needed."""
        if not self._held:
            return None
        steps = {
            _State.OPENED_BY_TEMPLATE: self._wait,
            _State.BEGINNING: self._begin,
            _State.THINKING: self._think,
            _State.AFTER_THOUGHTS: self._begin_answer,
            _State.ANSWERING: self._answer,
            _State.ANSWERING_WITH_TAGS: self._take_all,
        }
        return steps[self._state]()

    def _wait(self) -> Piece | None:
        if _CLOSE in self._held:
            # The model may open its thoughts as well.
            self._held = self._held.lstrip().removeprefix(_OPEN)
            self._state = _State.THINKING
            return Piece("", is_thought=True)
        return None

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
            self._state = _State.ANSWERING_WITH_TAGS
        return Piece("", is_thought=False)

    def _answer(self) -> Piece | None:
        if "<" not in self._held and ">" not in self._held:
            return self._take_all()
        closed = self._held.find(_CLOSE)
        if _OPEN in self._passed + (self._held if closed < 0 else self._held[:closed]):
            # An answer about such tags.
            self._state = _State.ANSWERING_WITH_TAGS
            return self._take_all()
        if closed >= 0:
            return self._close_alone(closed)
        certain = len(self._held) - _overlap(self._held, _CLOSE)
        return self._take(certain, is_thought=False) if certain else None

    def _close_alone(self, closed: int) -> Piece | None:
        """A closing tag that ends its line ends thoughts; they have been told, but the tag is not."""
        if closed:
            return self._take(closed, is_thought=False)
        after = self._held.removeprefix(_CLOSE)
        if not after:
            return None
        self._state = _State.ANSWERING_WITH_TAGS
        if after.startswith("\n"):
            self.saw_closing_tag_alone, self._held = True, after
            self._state = _State.AFTER_THOUGHTS
        return Piece("", is_thought=False)

    def _take_all(self) -> Piece:
        return self._take(len(self._held), is_thought=False)

    def _take(self, length: int, *, is_thought: bool) -> Piece:
        text, self._held = self._held[:length], self._held[length:]
        self._passed = (self._passed + text)[-len(_OPEN) :]
        return Piece(text, is_thought)


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    return next((size for size in range(min(len(text), len(tag) - 1), 0, -1) if text.endswith(tag[:size])), 0)
