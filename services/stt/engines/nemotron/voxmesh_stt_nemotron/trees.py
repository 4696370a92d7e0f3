"""Boosting trees: a stream's phrases as an automaton that favours their tokens while a transducer decodes.

NeMo keeps all trees in one holder and gives each stream of a batch its own, by number. A list of
phrases is compiled once, however many streams ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voxmesh_stt.biasing import Shared
from voxmesh_stt.engine import Phrase
from voxmesh_stt_nemotron.phrases import TokenPhrase, encoded
from voxmesh_stt_nemotron.transducer import Transducer
from voxmesh_stt_nemotron.vocabulary import Vocabulary

NO_TREE = -1

_TOKEN_SCORE = 1.0
"""What a phrase's first token gains for a boost of 1, before the tree's weight."""
_LATER_TOKENS = 2.0
"""How much more its later tokens gain; NeMo's advice for transducers."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A compiled list of phrases."""

    number: int
    """In NeMo's holder; `NO_TREE` when the model can write none of the phrases."""
    taken: frozenset[str]


class Trees:
    """The trees of all streams of one model.

    Args:
        transducer: decodes with them.
        vocabulary: of the model.
        weight: of every tree against the model's own scores.
        max_unused: compiled lists to keep after their last stream.
    """

    def __init__(self, transducer: Transducer, vocabulary: Vocabulary, weight: float, max_unused: int) -> None:
        self._transducer = transducer
        self._vocabulary = vocabulary
        self._weight = weight
        self._shared = Shared[tuple[Phrase, ...], Tree](self._make, self._free, max_unused)

    def take(self, phrases: tuple[Phrase, ...]) -> Tree | None:
        """The tree of a list, for one more stream; None for an empty one."""
        return self._shared.take(phrases) if phrases else None

    def give_back(self, phrases: tuple[Phrase, ...]) -> None:
        """One stream of the list less."""
        if phrases:
            self._shared.give_back(phrases)

    def close(self) -> None:
        """Remove the trees that no stream uses."""
        self._shared.close()

    def _make(self, phrases: tuple[Phrase, ...]) -> Tree:
        taken = encoded(phrases, self._vocabulary)
        number = self._compiled(taken) if taken else NO_TREE
        return Tree(number, frozenset(phrase.text for phrase in taken))

    def _compiled(self, phrases: Sequence[TokenPhrase]) -> int:
        from nemo.collections.asr.parts.context_biasing import (  # noqa: PLC0415 # with NeMo, on load
            boosting_graph_batched,
            context_graph_universal,
        )

        # The strongest come first, so that a beginning that phrases share has the score of the strongest.
        graph = context_graph_universal.ContextGraph(context_score=_TOKEN_SCORE, depth_scaling=_LATER_TOKENS)
        graph.build(
            token_ids=[list(phrase.tokens) for phrase in phrases],
            scores=[_TOKEN_SCORE * phrase.boost for phrase in phrases],
        )
        tree = boosting_graph_batched.GPUBoostingTreeModel.from_context_graph(
            graph, vocab_size=self._transducer.vocabulary_size, use_triton=False, uniform_weights=False
        )
        return self._transducer.trees.add_model(tree, alpha=self._weight)

    def _free(self, tree: Tree) -> None:
        if tree.number != NO_TREE:
            self._transducer.trees.remove_model(tree.number)
