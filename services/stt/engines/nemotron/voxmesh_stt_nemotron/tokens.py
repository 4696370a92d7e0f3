"""What a model's decoder gives: tokens, each with its place in time."""

from __future__ import annotations

from typing import NamedTuple


class Token(NamedTuple):
    """One subword."""

    id: int
    frame: int
    """Encoder frame, counted from the start of the stream or utterance."""
    confidence: float
    """Probability of the model's best guess at this place, in (0, 1]."""


LEAST_CONFIDENCE = 1e-6


def probability(value: float) -> float:
    """A confidence within the contract's limits."""
    return min(max(value, LEAST_CONFIDENCE), 1.0)
