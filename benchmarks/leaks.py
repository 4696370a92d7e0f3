"""Tell growth that goes on from what a process needs once: by thirds, after a time of warming up."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

WARM_UP_SHARE = 0.2
"""Of the samples, from the beginning: caches and pools fill in them."""
LEAST_GROWTH = 3.0
"""Less than this many threads or descriptors more is no leak."""
_LEAST_SAMPLES = 3


def settled(values: Sequence[float]) -> Sequence[float]:
    """The values after the warm-up."""
    return values[round(len(values) * WARM_UP_SHARE) :]


def grows_steadily(values: Sequence[float], least: float = LEAST_GROWTH) -> bool:
    """True when each third's median is above the one before, and the last by at least `least` above the first.

    Args:
        values: one sample after each of equal pieces of work.
        least: growth from the first third to the last that counts.
    """
    kept = settled(values)
    size = len(kept) // 3
    if len(kept) < _LEAST_SAMPLES:
        return False
    first, middle, last = median(kept[:size]), median(kept[size:-size]), median(kept[-size:])
    return first < middle < last and last - first >= least
