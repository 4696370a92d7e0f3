"""The CTC head of a model: scores of every token at every frame, and the best path through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from voxmesh_stt_nemotron.tokens import Token, probability


class CtcHead:
    """Of a CTC model, or of a hybrid one beside its transducer."""

    def __init__(self, head: Any) -> None:
        self._head = head

    @classmethod
    def of(cls, model: Any) -> CtcHead | None:
        """The head of a model; None when it has none."""
        head = getattr(model, "ctc_decoder", None)
        if head is None and not hasattr(model, "joint"):
            head = model.decoder
        return None if head is None else cls(head)

    def scores(self, encoded: torch.Tensor) -> torch.Tensor:
        """Log probabilities [batch, frames, tokens and blank, which is last]."""
        return self._head(encoder_output=encoded)

    @staticmethod
    def tokens(scores: torch.Tensor, lengths: torch.Tensor) -> list[list[Token]]:
        """The best path of each utterance, without blanks and repetitions."""
        best, ids = scores.max(-1)
        rows = zip(ids.tolist(), best.exp().tolist(), lengths.tolist(), strict=True)
        return [_collapsed(row[:length], sure[:length], scores.shape[-1] - 1) for row, sure, length in rows]


def _collapsed(ids: Sequence[int], confidences: Sequence[float], blank: int) -> list[Token]:
    before = [blank, *ids]
    return [
        Token(token, frame, probability(confidences[frame]))
        for frame, token in enumerate(ids)
        if token not in {blank, before[frame]}
    ]
