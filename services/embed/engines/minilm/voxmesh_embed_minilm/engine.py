"""MiniLM as an engine of the embedding service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from voxmesh_embed.engine import EngineInfo, Text, Vector
from voxmesh_embed_minilm.files import MODEL, fetch, folder_source
from voxmesh_embed_minilm.network import Network
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.models import ModelSource

MAX_SEQUENCE = 256
"""Tokens that the model reads, by its authors' configuration; it was trained on texts of up to 128."""
SPECIAL_TOKENS = 2
"""[CLS] before and [SEP] after every text."""
DIMENSIONS = 384


class MiniLm:
    """One tokenizer and one network; see `voxmesh_embed.engine.Engine`."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._source = folder_source(context.model)
        self._facts = _facts(self._source, context.device)
        self._tokenizer: Tokenizer | None = None
        self._network: Network | None = None
        self.info = self._info(DIMENSIONS)

    def load(self) -> None:
        """Fetch and load the model; does nothing when it is loaded."""
        if self._network is not None:
            return
        files = fetch(self._source, self._context.cache_dir)
        self._tokenizer = _tokenizer(files.tokenizer)
        self._network = Network(files.network, self._context.threads)
        self.info = self._info(self._network.dimensions)

    def warm_up(self) -> None:
        """Embed a short and a long text."""
        self.embed([Text("warm"), Text("warm " * MAX_SEQUENCE)])

    def embed(self, texts: Sequence[Text]) -> list[Vector]:
        """The vectors of the texts; kind and instruction make no difference to this model."""
        if self._tokenizer is None or self._network is None:
            raise RuntimeError("load() comes before the first use")
        encoded = self._tokenizer.encode_batch([text.content for text in texts])
        sequences = [_shortened(encoding.ids) for encoding in encoded]
        vectors = self._network.embed(sequences)
        return [
            Vector(values, len(ids) - SPECIAL_TOKENS, truncated=len(encoding.ids) > len(ids))
            for values, ids, encoding in zip(vectors, sequences, encoded, strict=True)
        ]

    def close(self) -> None:
        """Free the model."""
        self._tokenizer = None
        self._network = None

    def _info(self, dimensions: int) -> EngineInfo:
        return EngineInfo(self._facts, dimensions, max_tokens=MAX_SEQUENCE - SPECIAL_TOKENS)


def _tokenizer(path: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(path))
    # The file asks for 128 tokens, always; here the engine cuts, so that it can tell, and pads as little as it can.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # "[SEP]" in a caller's text is five characters, not the model's own mark.
    tokenizer.encode_special_tokens = True
    return tokenizer


def _shortened(ids: Sequence[int]) -> Sequence[int]:
    if len(ids) <= MAX_SEQUENCE:
        return ids
    return [*ids[: MAX_SEQUENCE - 1], ids[-1]]


def _facts(source: ModelSource | None, device: str) -> ModelFacts:
    return ModelFacts(
        model=MODEL if source is None else str(source),
        license="Apache-2.0" if source is None else "unknown",
        device_reason="" if device in {"auto", "cpu"} else f"the engine runs on the CPU only, not on {device}",
        language_codes=("en",) if source is None else (),
    )
