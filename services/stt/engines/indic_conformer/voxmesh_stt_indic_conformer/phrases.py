"""Phrases to favour: a tree of their letters, walked by whatever tokens spell them.

The model's files hold no rules for cutting a phrase into tokens, and it may write a word in several
ways; so a phrase is followed letter by letter, and every token that goes along with it is favoured by
the letters that it brings. So all ways to write a phrase gain the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from voxmesh_stt.engine import Phrase
from voxmesh_stt_indic_conformer.graphs import Floats
from voxmesh_stt_indic_conformer.tokens import WORD_MARK


@dataclass(slots=True)
class _Node:
    """A place in the tree; `boost` is the strongest of the phrases beyond it."""

    children: dict[str, _Node] = field(default_factory=dict[str, "_Node"])
    boost: float = 0.0
    onward: dict[int, _Node] | None = None
    """Where each token leads that may come next; found when first asked for."""


Place = tuple[_Node, ...]
"""All places in the tree that the tokens so far may have led to."""


class PhraseTree:
    """Phrases of one stream; shared by streams with the same list, and by all utterances of a stream."""

    def __init__(self, phrases: Sequence[Phrase], vocabulary: Sequence[str], weight: float) -> None:
        self._weight = weight
        self._classes = len(vocabulary) + 1
        self._tokens = _by_first_letter(vocabulary)
        self._letters = [len(text.replace(WORD_MARK, "")) for text in vocabulary]
        self._root = _Node()
        for phrase in phrases:
            self._add(phrase)

    def start(self) -> Place:
        """Before the first token."""
        return ()

    def after(self, place: Place, token: int) -> Place:
        """Where one more token leads."""
        found = (self._onward(node).get(token) for node in (*place, self._root))
        return tuple(node for node in found if node is not None)

    def bonus(self, place: Place) -> Floats:
        """What to add to the log-probability of each token that may come next, the blank last."""
        added = np.zeros(self._classes, np.float32)
        for node in (*place, self._root):
            for token, target in self._onward(node).items():
                added[token] = max(added[token], self._weight * self._letters[token] * target.boost)
        return added

    def _add(self, phrase: Phrase) -> None:
        node = self._root
        for letter in spelled(phrase.text):
            node = node.children.setdefault(letter, _Node())
            node.boost = max(node.boost, phrase.boost)

    def _onward(self, node: _Node) -> dict[int, _Node]:
        if node.onward is None:
            node.onward = {}
            for letter in node.children:
                for token, text in self._tokens.get(letter, ()):
                    target = _walk(node, text)
                    if target is not None:
                        node.onward[token] = target
        return node.onward


def spelled(text: str) -> str:
    """A phrase as the model's tokens spell it."""
    return "".join(WORD_MARK + word for word in text.split())


def unknown_letters(text: str, vocabulary: Sequence[str]) -> str:
    """The letters of a phrase that no token holds, in order; a phrase that has some can never be heard."""
    known = frozenset("".join(token for token in vocabulary if not token.startswith("<")))
    return "".join(dict.fromkeys(letter for letter in spelled(text) if letter not in known))


def _by_first_letter(vocabulary: Sequence[str]) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for token, text in enumerate(vocabulary):
        if text:
            found.setdefault(text[0], []).append((token, text))
    return found


def _walk(node: _Node, text: str) -> _Node | None:
    for letter in text:
        following = node.children.get(letter)
        if following is None:
            return None
        node = following
    return node
