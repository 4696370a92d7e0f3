"""What becomes of a caller's phrases in one language, and the trees of those that can be heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voxmesh_runtime.outcomes import Outcome, applied, ignored
from voxmesh_stt.biasing import CONTEXT, PHRASES, Shared, phrase_field
from voxmesh_stt.engine import Phrase, RecognitionOptions
from voxmesh_stt_indic_conformer.phrases import PhraseTree, unknown_letters


@dataclass(frozen=True, slots=True)
class PhraseList:
    """Phrases of one language, as a key of their tree."""

    language: str
    phrases: tuple[Phrase, ...]


class Trees:
    """Trees of the streams that are open, and a few of streams that were; used on the engine's thread alone."""

    def __init__(self, vocabulary: Mapping[str, Sequence[str]], weight: float) -> None:
        self._vocabulary = vocabulary
        self._weight = weight
        self._shared = Shared[PhraseList, PhraseTree](self._make, lambda _: None)

    def take(self, phrases: PhraseList) -> PhraseTree | None:
        """The tree of a list, for one more stream; None for no phrases."""
        return self._shared.take(phrases) if phrases.phrases else None

    def give_back(self, phrases: PhraseList) -> None:
        """A stream that took the tree ends."""
        if phrases.phrases:
            self._shared.give_back(phrases)

    def _make(self, phrases: PhraseList) -> PhraseTree:
        return PhraseTree(phrases.phrases, self._vocabulary[phrases.language], self._weight)


def unbiased(options: RecognitionOptions, language: str) -> tuple[PhraseList, list[Outcome]]:
    """No phrases, for the decoder that takes none, and what becomes of all biasing."""
    outcomes = [ignored(PHRASES, "the ctc decoder takes no phrases; the rnnt decoder does")] if options.phrases else []
    return PhraseList(language, ()), outcomes + _context(options)


def usable(options: RecognitionOptions, language: str, vocabulary: Sequence[str]) -> tuple[PhraseList, list[Outcome]]:
    """The phrases that the language's tokens can spell, and what becomes of all biasing."""
    outcomes: list[Outcome] = []
    kept: list[Phrase] = []
    for index, phrase in enumerate(options.phrases):
        unknown = unknown_letters(phrase.text, vocabulary)
        if unknown:
            why = (
                f"the model writes {language!r} without {' '.join(unknown)}; spell the phrase in that language's script"
            )
            outcomes.append(ignored(phrase_field(index), why))
        else:
            kept.append(phrase)
    if kept:
        outcomes.insert(0, applied(PHRASES))
    return PhraseList(language, tuple(kept)), outcomes + _context(options)


def _context(options: RecognitionOptions) -> list[Outcome]:
    return [ignored(CONTEXT, "the model takes no context")] if options.context else []
