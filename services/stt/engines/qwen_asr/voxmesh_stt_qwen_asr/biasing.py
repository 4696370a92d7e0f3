"""What becomes of a caller's biasing: one context text for the model, and an outcome for each wish."""

from __future__ import annotations

from typing import Any

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Outcome, applied, approximated, ignored
from voxmesh_runtime.quoting import quote
from voxmesh_stt.biasing import CONTEXT, PHRASES, phrase_field, refuse_marks, rich_context
from voxmesh_stt.engine import RecognitionOptions
from voxmesh_stt.options import MAX_CONTEXT_CHARACTERS


def refuse_added_tokens(options: RecognitionOptions, tokenizer: Any) -> None:
    """Check phrases and context for anything that the tokenizer would not read as text.

    Raises:
        InvalidArgument: names the field and the token.
    """
    refuse_marks(options)
    texts = [(CONTEXT, options.context)]
    texts += [(f"{phrase_field(index)}.text", phrase.text) for index, phrase in enumerate(options.phrases)]
    added: dict[str, int] = tokenizer.get_added_vocab()
    for field, text in texts:
        found = next((token for token in added if token in text), None)
        if found is not None:
            raise InvalidArgument(field, f"holds the control token {quote(found)} of the model; remove it")


def context_of(options: RecognitionOptions, tokenizer: Any, max_tokens: int) -> tuple[str, list[Outcome]]:
    """The context that the model is given, and how each wish is taken in it.

    The model knows no list of phrases. Named in a sentence they bias it where a bare list of few words does not.
    """
    text, left_out = _fitted(options, tokenizer, max_tokens)
    outcomes: list[Outcome] = []
    if options.phrases:
        how = "named in a sentence in the model's context; boosts only decide which come first"
        outcomes.append(approximated(PHRASES, how))
        why = f"the context is full with {max_tokens} tokens"
        outcomes += [ignored(phrase_field(index), why) for index in left_out]
    if options.context:
        is_whole = text.startswith(options.context.strip())
        cut = approximated(CONTEXT, f"cut after {max_tokens} tokens")
        outcomes.append(applied(CONTEXT) if is_whole else cut)
    return text, outcomes


def _fitted(options: RecognitionOptions, tokenizer: Any, max_tokens: int) -> tuple[str, list[int]]:
    """The longest context that `max_tokens` hold, nearly."""
    characters = 2 * MAX_CONTEXT_CHARACTERS
    while True:
        text, left_out = rich_context(options, max_characters=characters)
        tokens = len(tokenizer.encode(text))
        if tokens <= max_tokens:
            return text, left_out
        # Scripts differ in tokens a character, so that the limit is found in a few steps.
        characters = min(len(text) - 1, len(text) * max_tokens // tokens)
