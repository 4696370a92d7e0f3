"""A query and a document as the question that the model answers with yes or no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from voxmesh_embed.engine import Pair
from voxmesh_embed.plain_text import Marks
from voxmesh_runtime.errors import FailedPrecondition

_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One pair for the model."""

    ids: list[int]
    count: int
    """Tokens of query and document."""
    truncated: bool


class Prompts:
    """The model's tokenizer; nothing that a caller writes becomes one of its marks.

    Args:
        folder: of the checkpoint.
        max_tokens: longest prompt.

    Raises:
        FailedPrecondition: the tokenizer has no single tokens for yes and no.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        self.no, self.yes = (self._token(word, folder) for word in ("no", "yes"))
        self.pad: int = self._tokenizer.pad_token_id
        self._marks = Marks(self._tokenizer.get_added_vocab())
        self._prefix, self._suffix = (self._template(text) for text in (_PREFIX, _SUFFIX))
        self._room = max_tokens - len(self._prefix) - len(self._suffix)

    @property
    def around(self) -> int:
        """Tokens of a prompt that are neither query nor document, nor what names them."""
        return len(self._prefix) + len(self._suffix)

    def of(self, pairs: Sequence[Pair], default_instruction: str) -> list[Prompt]:
        """The prompts of pairs; of a document that is too long the end is left out."""
        heads: dict[tuple[str, str], list[int]] = {}
        prompts: list[Prompt] = []
        for pair in pairs:
            key = pair.instruction or default_instruction, pair.query
            if key not in heads:
                heads[key] = self._encoded(f"<Instruct>: {key[0]}\n<Query>: {key[1]}\n<Document>:")
            prompts.append(self._prompt(heads[key], pair.document))
        return prompts

    def _prompt(self, head: list[int], document: str) -> Prompt:
        # The tokenizer itself parts words before a space, so that this is what it makes of both together.
        body = self._encoded(f" {document}")
        # However long the query is, half is left for the document.
        kept_head = head[: max(self._room // 2, self._room - len(body))]
        kept = body[: self._room - len(kept_head)]
        truncated = len(kept) < len(body) or len(kept_head) < len(head)
        ids = [*self._prefix, *kept_head, *kept, *self._suffix]
        return Prompt(ids, len(kept_head) + len(kept), truncated)

    def _encoded(self, text: str) -> list[int]:
        pieces = self._marks.pieces(text)
        found = self._tokenizer(pieces, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [token for ids in found for token in ids]

    def _template(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=False)

    def _token(self, word: str, folder: Path) -> int:
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False)
        if len(ids) != 1:
            problem = f"the tokenizer in {folder} has no token for {word!r}, so that this is no Qwen3-Reranker"
            raise FailedPrecondition("model", folder.name, problem)
        return ids[0]
