"""Queries and documents as one sequence each: [CLS] query [SEP] document [SEP], or as the tokenizer has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from voxmesh_embed.engine import Pair

_PADS = ("[PAD]", "<pad>")


@dataclass(frozen=True, slots=True)
class Sequences:
    """One pair for the network."""

    ids: Sequence[int]
    type_ids: Sequence[int]
    count: int
    """Tokens of query and document."""
    truncated: bool


class Pairs:
    """The model's tokenizer; nothing that a caller writes becomes one of its marks.

    Args:
        path: of the file `tokenizer.json`.
        max_tokens: longest pair with its marks.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        tokenizer = Tokenizer.from_file(str(path))
        # The engine cuts, so that it can tell, and pads as little as it can.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # "[SEP]" in a caller's text is five characters, not the model's own mark.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self.around = tokenizer.num_special_tokens_to_add(is_pair=True)
        self._room = max_tokens - self.around
        known = (tokenizer.token_to_id(pad) for pad in _PADS)
        self.pad = next((number for number in known if number is not None), 0)

    def read(self, pairs: Sequence[Pair]) -> list[Sequences]:
        """The sequences of pairs; of a document that is too long the end is left out."""
        queries = self._tokenizer.encode_batch([pair.query for pair in pairs], add_special_tokens=False)
        documents = self._tokenizer.encode_batch([pair.document for pair in pairs], add_special_tokens=False)
        return list(map(self._joined, queries, documents))

    def _joined(self, query: Encoding, document: Encoding) -> Sequences:
        # However long the query is, half is left for the document.
        queried, told = len(query.ids), len(document.ids)
        in_query = min(queried, max(self._room // 2, self._room - told))
        in_document = min(told, self._room - in_query)
        truncated = in_query < queried or in_document < told
        query.truncate(in_query)
        document.truncate(in_document)
        joined = self._tokenizer.post_process(query, document)
        return Sequences(joined.ids, joined.type_ids, in_query + in_document, truncated)
