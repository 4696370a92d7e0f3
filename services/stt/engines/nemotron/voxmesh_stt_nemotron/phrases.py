"""A caller's phrases as tokens, and what it is told of those that the model cannot write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from voxmesh_runtime.outcomes import Outcome, applied, approximated, ignored
from voxmesh_stt.biasing import CONTEXT, PHRASES, phrase_field, strongest_first
from voxmesh_stt.engine import Phrase, RecognitionOptions
from voxmesh_stt_nemotron.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class TokenPhrase:
    """A phrase that the model can write."""

    text: str
    tokens: tuple[int, ...]
    boost: float


def encoded(phrases: Sequence[Phrase], vocabulary: Vocabulary) -> list[TokenPhrase]:
    """The phrases that the vocabulary can write, each text once, the strongest first."""
    tokens = ((phrase, vocabulary.tokens(phrase.text)) for phrase in strongest_first(phrases))
    return [TokenPhrase(phrase.text, tuple(ids), phrase.boost) for phrase, ids in tokens if ids]


class PhraseList(Protocol):
    """A compiled list of phrases, shared by all streams that ask for it."""

    @property
    def taken(self) -> frozenset[str]:
        """Texts that the model listens for."""
        ...


def phrase_outcomes(options: RecognitionOptions, phrases: PhraseList | None, *, even: bool) -> list[Outcome]:
    """What became of a stream's phrases, those that could not be taken one by one.

    Args:
        options: of the stream.
        phrases: as compiled; None when the model takes none.
        even: all phrases get the same boost, whatever was asked for.
    """
    if not options.phrases:
        return []
    if phrases is None:
        return [ignored(PHRASES, "the model's decoder takes no phrases of a single stream")]
    rejected = [index for index, phrase in enumerate(options.phrases) if phrase.text not in phrases.taken]
    count = len(options.phrases)
    if len(rejected) == count:
        outcomes = [ignored(PHRASES, "the model's vocabulary can write none of them")]
    elif rejected:
        outcomes = [approximated(PHRASES, f"{count - len(rejected)} of {count} phrases are listened for")]
    elif even and len({phrase.boost for phrase in options.phrases} | {1.0}) > 1:
        outcomes = [approximated(PHRASES, "all phrases are favoured alike, whatever their boost")]
    else:
        outcomes = [applied(PHRASES)]
    why = "the model's vocabulary cannot write it"
    return outcomes + [ignored(phrase_field(index), why) for index in rejected]


def context_outcomes(options: RecognitionOptions) -> list[Outcome]:
    """What became of a stream's free text."""
    why = "the model takes phrases, no free text; put its names into biasing.phrases"
    return [ignored(CONTEXT, why)] if options.context else []
