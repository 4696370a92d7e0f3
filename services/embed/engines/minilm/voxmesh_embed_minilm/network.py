"""The network: token ids of several texts in, one vector of unit length for each out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from voxmesh_embed.engine import Values

MAX_PADDED_TOKENS = 1024
"""Tokens of one run with their padding: bounds its memory to about 100 MB."""
MAX_PADDING = 1.25
"""Longest a padded run may be, compared to its tokens: beyond, two runs are cheaper than one."""


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
        for places in runs([len(ids) for ids in texts]):
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


def runs(lengths: Sequence[int]) -> list[list[int]]:
    """Group texts of about the same length: their places, so that little of a run is padding."""
    groups: list[list[int]] = []
    tokens = 0
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        length = lengths[place]
        padded = length * (len(groups[-1]) + 1) if groups else 0
        if groups and padded <= MAX_PADDED_TOKENS and padded <= MAX_PADDING * (tokens + length):
            groups[-1].append(place)
            tokens += length
        else:
            groups.append([place])
            tokens = length
    return groups
