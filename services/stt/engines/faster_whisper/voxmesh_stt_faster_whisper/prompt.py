"""A caller's phrases and context as the tokens that precede the text, and what became of each.

Whisper reads at most 223 tokens before it writes. The strongest phrases come first, then the end
of the context: the nearer to the text, the more it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Outcome, applied, approximated, ignored
from voxmesh_stt.biasing import CONTEXT, PHRASES, phrase_field, refuse_marks, strongest_first
from voxmesh_stt.engine import RecognitionOptions
from voxmesh_stt_faster_whisper.model import MAX_PROMPT_TOKENS, Model

_CONTEXT_SHARE = MAX_PROMPT_TOKENS // 3
"""Tokens that phrases leave to a context that is as long."""
_SEPARATOR = ","
_LEAST_TOKENS = 2
"""Of a phrase and its separator."""
_HOW = "named before the speech as text that Whisper may take up, a weak hint; boosts decide the order alone"
_NO_ROOM = f"Whisper reads {MAX_PROMPT_TOKENS} tokens before the speech, and stronger phrases fill them"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What precedes the text, and the outcomes of the biasing that it stands for."""

    tokens: tuple[int, ...]
    outcomes: tuple[Outcome, ...]


def prompt_of(options: RecognitionOptions, model: Model) -> Prompt:
    """The prompt of a stream's biasing.

    Raises:
        InvalidArgument: a text holds control tokens.
    """
    refuse_marks(options)
    context = _tokens(model, CONTEXT, options.context)
    room = MAX_PROMPT_TOKENS - min(len(context), _CONTEXT_SHARE)
    phrases, taken = _phrases(options, model, room)
    kept = context[-(MAX_PROMPT_TOKENS - len(phrases)) :]
    outcomes = [*_phrase_outcomes(options, taken), *_context_outcomes(context, kept)]
    return Prompt((*phrases, *kept), tuple(outcomes))


def _phrases(options: RecognitionOptions, model: Model, room: int) -> tuple[list[int], set[str]]:
    """Tokens of the phrases that fit, and their texts."""
    indices = {phrase.text: index for index, phrase in enumerate(options.phrases)}
    tokens: list[int] = []
    taken: set[str] = set()
    for phrase in strongest_first(options.phrases):
        if len(tokens) + _LEAST_TOKENS > room:
            break
        field = f"{phrase_field(indices[phrase.text])}.text"
        new = _tokens(model, field, phrase.text)
        separator = _tokens(model, field, _SEPARATOR, lead="") if tokens else []
        if len(tokens) + len(separator) + len(new) <= room:
            tokens += [*separator, *new]
            taken.add(phrase.text)
    return tokens, taken


def _tokens(model: Model, field: str, text: str, lead: str = " ") -> list[int]:
    plain = " ".join(text.split())
    try:
        return model.tokens(lead + plain) if plain else []
    except ValueError as error:
        raise InvalidArgument(field, f"{error}; remove it") from error


def _phrase_outcomes(options: RecognitionOptions, taken: set[str]) -> list[Outcome]:
    if not options.phrases:
        return []
    left_out = [index for index, phrase in enumerate(options.phrases) if phrase.text not in taken]
    whole = approximated(PHRASES, _HOW) if taken else ignored(PHRASES, _NO_ROOM)
    return [whole, *(ignored(phrase_field(index), _NO_ROOM) for index in left_out)]


def _context_outcomes(context: Sequence[int], kept: Sequence[int]) -> list[Outcome]:
    if not context:
        return []
    if len(kept) == len(context):
        return [applied(CONTEXT)]
    how = f"the last {len(kept)} of its {len(context)} tokens; Whisper reads {MAX_PROMPT_TOKENS} with the phrases"
    return [approximated(CONTEXT, how)]
