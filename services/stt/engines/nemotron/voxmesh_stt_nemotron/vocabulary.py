"""Between text and a model's tokens, whatever kind of subword tokenizer it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxmesh_runtime.errors import FailedPrecondition

BEGIN_OF_WORD = "\u2581"
"""What the first piece of a word begins with in sentencepiece vocabularies."""


class Vocabulary:
    """The tokenizer of a NeMo model.

    Raises:
        FailedPrecondition: the model has none, as models of single characters do.
    """

    def __init__(self, model: Any, name: str) -> None:
        tokenizer: Any = getattr(model, "tokenizer", None)
        if tokenizer is None:
            raise FailedPrecondition("model", name, f"{name} has no subword tokenizer; take a model that has one")
        self._tokenizer = tokenizer
        # An aggregate tokenizer has one of its own for each language.
        parts: dict[str, Any] = getattr(self._tokenizer, "tokenizers_dict", {})
        self.languages = tuple(language for language in parts if len(language) == 2)  # noqa: PLR2004 # ISO 639-1
        self._by_language = bool(parts)
        self.size: int = self._tokenizer.vocab_size
        self._pieces: list[str] = self._tokenizer.ids_to_tokens(list(range(self.size)))

    def begins_word(self, token: int) -> bool:
        """Whether a token starts a new word."""
        return self._pieces[token].startswith(BEGIN_OF_WORD)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of one word's tokens; empty for a lone begin of a word."""
        return str(self._tokenizer.ids_to_text(list(tokens))).strip()

    def tokens(self, text: str) -> list[int]:
        """A phrase's tokens; empty when the vocabulary cannot write it."""
        if self._by_language:
            known = self.languages or tuple(self._tokenizer.tokenizers_dict)
            tokens = self._tokenizer.text_to_ids(text, known[0])
        else:
            tokens = self._tokenizer.text_to_ids(text)
        return [] if any("<unk>" in self._pieces[token] for token in tokens) else list(tokens)
