"""Texts as the model's tokens: queries with their instruction, each text with the end token it is read by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from voxmesh_embed.engine import Kind, Text
from voxmesh_embed.plain_text import Marks
from voxmesh_runtime.errors import FailedPrecondition

END = "<|endoftext|>"
"""Its last hidden state is the vector."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text for the model."""

    ids: list[int]
    count: int
    """Tokens of the text itself."""
    truncated: bool


class Tokenizer:
    """The model's tokenizer; nothing that a caller writes becomes one of its marks.

    Args:
        folder: of the checkpoint.
        max_tokens: longest text, with its instruction and the end token.

    Raises:
        FailedPrecondition: the tokenizer knows no end token.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        added: dict[str, int] = self._tokenizer.get_added_vocab()
        if END not in added:
            problem = f"the tokenizer in {folder} has no {END}, so that this is no Qwen3-Embedding"
            raise FailedPrecondition("model", folder.name, problem)
        self.end: int = added[END]
        self._marks = Marks(added)
        self._room = max_tokens - 1

    def read(self, text: Text, default_instruction: str) -> Tokens:
        """The tokens of a text; the end of one that is too long is left out."""
        instruction = text.instruction or default_instruction
        head = f"Instruct: {instruction}\nQuery:" if text.kind is Kind.QUERY and instruction else ""
        # Together, since the first letters of the query may share a token with what is before them.
        ids = self._encoded(head + text.content)
        kept = ids[: self._room]
        before = len(self._encoded(head)) if head else 0
        return Tokens([*kept, self.end], max(1, len(kept) - before), truncated=len(ids) > self._room)

    def _encoded(self, text: str) -> list[int]:
        pieces = self._marks.pieces(text)
        found = self._tokenizer(pieces, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [token for ids in found for token in ids]
