"""Tokens as they were decoded, and their text, words and confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from voxmesh_stt.engine import Word
from voxmesh_stt.utterances import Hypothesis
from voxmesh_stt_indic_conformer.network import STEP_S

WORD_MARK = "\u2581"
"""Begins the first token of a word."""

_UNKNOWN = "<unk>"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `end` is the step after its last."""

    id: int
    begin: int
    end: int
    log_probability: float


def hypothesis(tokens: Sequence[Token], vocabulary: Sequence[str], language: str, audio_s: float) -> Hypothesis:
    """Text and words of so much audio; confidence is the geometric mean of the tokens' probabilities."""
    words = _words(tokens, vocabulary)
    return Hypothesis(
        " ".join(text for text, _ in words),
        words=tuple(_word(text, parts, language, audio_s) for text, parts in words),
        confidence=_confidence(tokens) if tokens else None,
        language_code=language,
    )


def _words(tokens: Sequence[Token], vocabulary: Sequence[str]) -> list[tuple[str, list[Token]]]:
    words: list[tuple[str, list[Token]]] = []
    for token in tokens:
        text = vocabulary[token.id].removeprefix(_UNKNOWN)
        if text.startswith(WORD_MARK) or not words:
            words.append(("", []))
        before, parts = words[-1]
        words[-1] = (before + text.replace(WORD_MARK, ""), [*parts, token])
    return [(text, parts) for text, parts in words if text]


def _word(text: str, parts: Sequence[Token], language: str, audio_s: float) -> Word:
    # The last step may reach past the end of the audio.
    begin_s, end_s = (min(step * STEP_S, audio_s) for step in (parts[0].begin, parts[-1].end))
    return Word(text, begin_s, end_s, confidence=_confidence(parts), language_code=language)


def _confidence(tokens: Sequence[Token]) -> float:
    return math.exp(sum(token.log_probability for token in tokens) / len(tokens))
