"""Greedy decoding of a transducer, batched over streams, with each stream's own state and boosting tree.

NeMo's label-looping computer is driven directly: its hypotheses would hold a stream's text for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from voxmesh_stt_nemotron.tokens import Token, probability

MAX_SYMBOLS = 10
"""Tokens that one frame may give, unless the model's own configuration says otherwise."""


class Decoded(NamedTuple):
    """What one stream's frames gave."""

    tokens: list[Token]
    state: Any
    """To be given back with the stream's next frames."""


class Transducer:
    """The prediction and joint networks of an RNN-T or TDT model."""

    def __init__(self, model: Any, *, cuda_graphs: bool) -> None:
        self._computer = _computer(model, cuda_graphs=cuda_graphs)

    @property
    def trees(self) -> Any:
        """NeMo's holder of boosting trees."""
        return self._computer.biasing_multi_model

    @property
    def vocabulary_size(self) -> int:
        """Tokens without blank, as boosting trees need it."""
        return self.trees.vocab_size

    def decode(
        self, encoded: torch.Tensor, lengths: torch.Tensor, states: Sequence[Any], trees: Sequence[int]
    ) -> list[Decoded]:
        """Decode new frames of several streams.

        Args:
            encoded: [batch, features, frames]
            lengths: [batch], frames that are valid
            states: of each stream, None at its start
            trees: of each stream, -1 for none
        """
        before = None if all(state is None for state in states) else self._computer.merge_to_batched_state(list(states))
        tree_ids = torch.tensor(trees, dtype=torch.long, device=encoded.device)
        hypotheses, after = self._computer(
            x=encoded.transpose(1, 2), out_len=lengths, prev_batched_state=before, multi_biasing_ids=tree_ids
        )
        tokens = _tokens(hypotheses)
        return [Decoded(*item) for item in zip(tokens, self._computer.split_batched_state(after), strict=True)]


def _computer(model: Any, *, cuda_graphs: bool) -> Any:
    # Slow to import: everything of NeMo is imported when a model is loaded.
    from nemo.collections.asr.parts.submodules.transducer_decoding import (  # noqa: PLC0415
        rnnt_label_looping,
        tdt_label_looping,
    )

    greedy = model.cfg.decoding.get("greedy", {})
    common: dict[str, Any] = {
        "decoder": model.decoder,
        "joint": model.joint,
        "blank_index": model.decoder.blank_idx,
        "max_symbols_per_step": greedy.get("max_symbols", None) or MAX_SYMBOLS,
        "preserve_step_confidence": True,
        "confidence_method_cfg": {"name": "max_prob", "alpha": 1.0},
        "allow_cuda_graphs": cuda_graphs,
        "enable_per_stream_biasing": True,
    }
    durations = model.cfg.decoding.get("durations", None)
    if durations:
        return tdt_label_looping.GreedyBatchedTDTLabelLoopingComputer(durations=list(durations), **common)
    return rnnt_label_looping.GreedyBatchedRNNTLabelLoopingComputer(exclude_blank_from_confidence=True, **common)


def _tokens(hypotheses: Any) -> list[list[Token]]:
    counts, ids, frames, _, confidences = hypotheses.get_data_without_blank()
    rows = zip(counts.tolist(), ids.tolist(), frames.tolist(), confidences.tolist(), strict=True)
    return [
        [Token(i, f, probability(c)) for i, f, c in zip(row[:n], at[:n], sure[:n], strict=True)]
        for n, row, at, sure in rows
    ]
