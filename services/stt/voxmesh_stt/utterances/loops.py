"""A model that has lost the thread says the same words again and again: what of its text to keep.

A loop is a tail of the same words, three times or more, that nobody could say in the time that
there is. People repeat themselves too, but no faster than they speak, so what fits the time stays.
"""

from __future__ import annotations

from dataclasses import replace

from voxmesh_stt.utterances.decoding import Hypothesis
from voxmesh_stt.utterances.tokens import plain, tokens_of

_LEAST_TIMES = 3
"""The words said, the last time perhaps in part."""
_WORD_S, _LETTER_S, _DIGIT_S = 0.08, 0.04, 0.12
"""Least time that speech takes; a digit is read as a word. Ordinary speech takes twice as long."""


def without_loop(found: Hypothesis, speech_s: float) -> Hypothesis:
    """Keep what comes before a loop and its words once.

    Args:
        found: of a decode.
        speech_s: what was decoded, in seconds.
    """
    tokens = tokens_of(found.text)
    if sum(map(_least_s, tokens)) <= speech_s:
        return found
    kept = _length_without_loop([plain(token) for token in tokens])
    if kept == len(tokens):
        return found
    return replace(found, text="".join(tokens[:kept]).rstrip(), words=found.words[:kept])


def _length_without_loop(words: list[str]) -> int:
    """How many words stand before and in the first round of the tail that repeats itself; all without one."""
    for period in range(1, (len(words) - 1) // (_LEAST_TIMES - 1) + 1):
        begin = _begin_of_tail(words, period)
        if len(words) - begin > (_LEAST_TIMES - 1) * period:
            return begin + period
    return len(words)


def _begin_of_tail(words: list[str], period: int) -> int:
    """Where the words begin that come again every `period`, to the end; the last may be cut."""
    at = len(words) - 1
    if at >= period and words[at - period].startswith(words[at]):
        at -= 1
        while at >= period and words[at - period] == words[at]:
            at -= 1
    return at - period + 1


def _least_s(token: str) -> float:
    return _WORD_S + sum(_DIGIT_S if character.isdigit() else _LETTER_S for character in plain(token))
