"""Phrases spotted in the scores of a CTC head, which then replace what was decoded at their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from voxmesh_stt.biasing import Shared
from voxmesh_stt.engine import Phrase
from voxmesh_stt_nemotron.ctc import CtcHead
from voxmesh_stt_nemotron.phrases import PhraseList, encoded
from voxmesh_stt_nemotron.settings import NemotronSettings
from voxmesh_stt_nemotron.tokens import Token, probability
from voxmesh_stt_nemotron.utterance import SpokenWord, Utterance
from voxmesh_stt_nemotron.vocabulary import Vocabulary

_REPLACED_SHARE = 0.3
"""A word gives way to a phrase that covers more of its frames than this."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A compiled list of phrases."""

    automaton: Any
    taken: frozenset[str]


class Spotter:
    """NeMo's word spotter for all streams of one model.

    Args:
        model: has the head and the tokenizer.
        head: of the model; a transducer beside it gives the words that phrases replace.
        vocabulary: of the model.
        settings: of the engine.
    """

    def __init__(self, model: Any, head: CtcHead, vocabulary: Vocabulary, settings: NemotronSettings) -> None:
        self._model = model
        self._head = head
        self._vocabulary = vocabulary
        self._weight = settings.spotting_weight
        # Transducers tend to give a token a frame before CTC does.
        self._early_frames = 1 if hasattr(model, "joint") else 0
        self._shared = Shared[tuple[Phrase, ...], Graph](self._make, lambda _: None, settings.unused_phrase_lists)

    def take(self, phrases: tuple[Phrase, ...]) -> Graph | None:
        """The graph of a list, for one more stream; None for an empty one."""
        return self._shared.take(phrases) if phrases else None

    def give_back(self, phrases: tuple[Phrase, ...]) -> None:
        """One stream of the list less."""
        if phrases:
            self._shared.give_back(phrases)

    def close(self) -> None:
        """Free the graphs that no stream uses."""
        self._shared.close()

    def spot(self, phrases: PhraseList, scores: torch.Tensor, utterance: Utterance) -> None:
        """Put the phrases that are found in scores [frames, tokens and blank] in their place."""
        from nemo.collections.asr.parts.context_biasing import run_word_spotter  # noqa: PLC0415 # with NeMo, on load

        if not isinstance(phrases, Graph) or not phrases.taken or not len(scores):
            return
        blank = scores.shape[-1] - 1
        found = run_word_spotter(
            scores.cpu().numpy(), phrases.automaton, self._model, blank_idx=blank, cb_weight=self._weight
        )
        sure = scores.max(-1).values.exp().tolist()
        for hit in found:
            confidence = probability(
                sum(sure[hit.start_frame : hit.end_frame + 1]) / (hit.end_frame + 1 - hit.start_frame)
            )
            place(hit.word, max(0, hit.start_frame - self._early_frames), hit.end_frame, confidence, utterance)

    def _make(self, phrases: tuple[Phrase, ...]) -> Graph:
        from nemo.collections.asr.parts.context_biasing import ContextGraphCTC  # noqa: PLC0415 # the same

        taken = encoded(phrases, self._vocabulary)
        graph = ContextGraphCTC(blank_id=self._vocabulary.size)
        graph.add_to_graph([(phrase.text, [list(phrase.tokens)]) for phrase in taken])
        return Graph(graph, frozenset(phrase.text for phrase in taken))


def place(phrase: str, first_frame: int, last_frame: int, confidence: float, utterance: Utterance) -> None:
    """Let a phrase replace the words that lie within its frames."""
    kept = [word for word in utterance.words if _covered(word, first_frame, last_frame) <= _REPLACED_SHARE]
    texts = phrase.split()
    share = (last_frame + 1 - first_frame) / len(texts)
    for index, text in enumerate(texts):
        frames = (first_frame + int(index * share), first_frame + max(int((index + 1) * share) - 1, int(index * share)))
        kept.append(SpokenWord([Token(-1, frame, confidence) for frame in frames], text))
    utterance.words = sorted(kept, key=lambda word: word.first_frame)


def _covered(word: SpokenWord, first_frame: int, last_frame: int) -> float:
    """Share of a word's frames that lie within others."""
    common = min(word.last_frame, last_frame) - max(word.first_frame, first_frame) + 1
    return max(0, common) / (word.last_frame - word.first_frame + 1)
