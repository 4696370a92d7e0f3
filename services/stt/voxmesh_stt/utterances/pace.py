"""Interim results may cost only so much: after each the model rests from them for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pace:
    """Shared by all streams, so that many of them do not drown the final results in interim ones.

    Args:
        share: largest share of time that interim results may take, in (0, 1].
        now: a monotonic clock in seconds.
    """

    share: float
    now: Callable[[], float] = time.monotonic
    _free_at: float = field(default=float("-inf"), init=False)

    def allows(self) -> bool:
        """Whether an interim result may be worked on now."""
        return self.now() >= self._free_at

    def spent(self, began: float) -> None:
        """Count work that began at `began` and ended just now."""
        ended = self.now()
        self._free_at = ended + (ended - began) * (1 / self.share - 1)
