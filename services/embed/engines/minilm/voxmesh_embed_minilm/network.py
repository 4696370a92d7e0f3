"""The network: token ids of several texts in, one vector of unit length for each out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from voxmesh_embed.engine import Values
from voxmesh_embed.lengths import runs

MAX_PADDED_TOKENS = 1024
"""Tokens of one run with their padding: bounds its memory to about 100 MB."""


class Network:
    """A sentence encoder of the BERT family as ONNX, with mean pooling."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # The arena would keep what the longest texts once needed, 220 MB more, and is no faster.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.dimensions = int(self._session.get_outputs()[0].shape[-1])

    def embed(self, texts: Sequence[Sequence[int]]) -> list[Values]:
        """The vectors of texts given as token ids, special tokens included, in their order."""
        vectors: dict[int, Values] = {}
        for places in runs([len(ids) for ids in texts], MAX_PADDED_TOKENS):
            vectors.update(zip(places, self._run([texts[place] for place in places]), strict=True))
        return [vectors[place] for place in range(len(texts))]

    def _run(self, texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(None, inputs)[0], np.float32)
        weights = mask[:, :, np.newaxis].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
