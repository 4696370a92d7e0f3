"""Medians with their spread, and how sure the difference of two medians is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 4000
_SEED = 1


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values and the quartiles around it, in the values' unit."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one or more values."""
        low, median, high = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(low), float(high))

    def text(self, digits: int = 0) -> str:
        """Median (lower quartile to upper quartile)."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def difference(values: Sequence[float], others: Sequence[float]) -> Spread:
    """The median of `values` less that of `others`, with a 90 % bootstrap interval."""
    random = np.random.default_rng(_SEED)
    resampled = _medians(values, random) - _medians(others, random)
    low, high = np.percentile(resampled, [5, 95])
    return Spread(float(np.median(values) - np.median(others)), float(low), float(high))


def _medians(values: Sequence[float], random: np.random.Generator) -> np.ndarray:
    drawn = random.choice(np.asarray(values), (_RESAMPLES, len(values)))
    return np.median(drawn, axis=1)


def slope(values: Sequence[float]) -> float:
    """Growth from one value to the next: the median over all pairs (Theil-Sen), which no outlier moves."""
    array = np.asarray(values, float)
    first, second = np.triu_indices(len(array), k=1)
    return float(np.median((array[second] - array[first]) / (second - first))) if len(first) else 0.0
