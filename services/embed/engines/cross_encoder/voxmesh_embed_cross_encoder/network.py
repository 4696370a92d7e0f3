"""The network: pairs as token ids in, one score in [0, 1] for each out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from voxmesh_embed.lengths import runs
from voxmesh_embed_cross_encoder.pairs import Sequences

MAX_PADDED_TOKENS = 1024
"""Tokens of one run with their padding, which bound its memory."""
_ONE_SCORE, _NO_AND_YES = 1, 2

Numbers = npt.NDArray[np.int64]


class NotOneScore(ValueError):
    """The network gives something else than one score a pair."""


class Network:
    """A classifier of pairs as ONNX, with one number for each, or with one for no and one for yes.

    Args:
        path: of the ONNX file.
        threads: of the CPU.
        pad: token behind the shorter pairs of a run; none attends to it.
    """

    def __init__(self, path: Path, threads: int, pad: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # The arena would keep what the longest pairs once needed.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = {value.name for value in self._session.get_inputs()}
        self._pad = pad

    def scores(self, pairs: Sequence[Sequences]) -> list[float]:
        """The scores of pairs, in their order.

        Raises:
            NotOneScore: this is no cross-encoder.
        """
        found: dict[int, float] = {}
        for places in runs([len(pair.ids) for pair in pairs], MAX_PADDED_TOKENS):
            found.update(zip(places, self._run([pairs[place] for place in places]), strict=True))
        return [found[place] for place in range(len(pairs))]

    def _run(self, pairs: Sequence[Sequences]) -> list[float]:
        shape = len(pairs), max(len(pair.ids) for pair in pairs)
        ids, types, mask = np.full(shape, self._pad, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, pair in enumerate(pairs):
            ids[row, : len(pair.ids)] = pair.ids
            types[row, : len(pair.ids)] = pair.type_ids
            mask[row, : len(pair.ids)] = 1
        known: dict[str, Numbers] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        inputs = {name: known[name] for name in self._inputs}
        return score_of(np.asarray(self._session.run(None, inputs)[0], np.float64)).tolist()


def score_of(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores in [0, 1] of shape (pairs,) from logits of shape (pairs, 1), or (pairs, 2) for no and yes.

    Raises:
        NotOneScore: their shape is another.
    """
    match logits.shape:
        case (_, 1):
            margin = logits[:, 0]
        case (_, 2):
            margin = logits[:, 1] - logits[:, 0]
        case shape:
            raise NotOneScore(f"the network gives logits of shape {shape}, not one or two for each pair")
    # Written so that it overflows on neither side.
    small = np.exp(-np.abs(margin))
    return np.where(margin >= 0, 1, small) / (1 + small)
