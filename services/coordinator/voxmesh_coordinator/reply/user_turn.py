"""One turn of the person, as its reply sees it: what was said and shown, and where its time goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics


@dataclass(slots=True)
class UserTurn:
    """What is answered."""

    words: str
    """All that was said, as far as it was known when the reply began."""
    metrics: TurnMetrics = field(default_factory=TurnMetrics)
    images: Sequence[bytes] = ()
    seen: str = ""
    """What the pictures show, once that is known."""
