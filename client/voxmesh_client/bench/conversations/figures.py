"""The figures of a scoreboard: one set for each condition, from all its plays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from voxmesh_client.bench.conversations.runner import Play
from voxmesh_client.bench.conversations.scoring import Fault, Score, total

Figures: TypeAlias = "dict[str, float | None]"
"""Values by name with units in the names; None is not measured."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the scoreboard."""

    title: str
    figure: str
    unit: str = "ms"
    """`ms`, `s` or `count`."""
    of: str = ""
    """The figure that a count is out of; empty when out of nothing."""


def _waits(title: str, name: str) -> list[Measure]:
    return [Measure(f"{title}, p{percent}", f"{name}_p{percent}_s") for percent in (50, 95)]


MEASURES = (
    *_waits("end of speech to first audio", "first_audio"),
    *_waits("end-of-turn wait", "wait"),
    *_waits("exposed beyond the wait", "beyond"),
    *_waits("turn's end to first audio", "after_end"),
    *_waits("barge-in to lowered reply", "duck"),
    *_waits("barge-in to yield", "yield"),
    *_waits("barge-in to last reply audio", "last_audio"),
    *_waits("barge-in to last full volume", "full_volume"),
    Measure("cut-offs", "cut_offs", "count", "questions"),
    Measure("unanswered", "unanswered", "count", "questions"),
    Measure("false interruptions", "false_interruptions", "count", "disturbances"),
    Measure("missed interruptions", "missed_interruptions", "count", "interruptions"),
    Measure("extra turns", "extra_turns", "count", "turns"),
    Measure("failures", "failures", "count", "plays"),
    Measure("turns heard as something else", "unlike", "count", "turns"),
    Measure("replies thrown away", "discarded_replies", "count", "turns"),
    Measure("compute thrown away per turn", "discarded_per_turn_s"),
    Measure("steps that came too late to count", "void", "count"),
    Measure("plays with a fault", "faulty_plays", "count", "plays"),
    Measure("latest microphone frame", "late_s"),
)
"""The scoreboard's lines, in order."""

_FAULTS = {
    Fault.CUT_OFF: "cut_offs",
    Fault.UNANSWERED: "unanswered",
    Fault.FALSE_INTERRUPTION: "false_interruptions",
    Fault.MISSED_INTERRUPTION: "missed_interruptions",
    Fault.EXTRA_TURN: "extra_turns",
    Fault.FAILURE: "failures",
}


def figures(plays: Sequence[Play]) -> Figures:
    """All figures of some plays."""
    score = total([play.score for play in plays])
    found: Figures = {
        **_counts(score),
        **_times(score),
        "discarded_per_turn_s": score.discarded_s / score.turns if score.turns else None,
        "plays": len(plays),
        "faulty_plays": sum(not play.is_passed for play in plays),
        "late_s": max((play.timeline.late_s for play in plays), default=None),
    }
    return found


def ratio(figure: float | None, base: float | None) -> float | None:
    """A figure over that of another condition; None when there is nothing to divide."""
    return None if figure is None or not base else figure / base


def _counts(score: Score) -> Figures:
    names = ("questions", "disturbances", "interruptions", "turns", "unlike", "void", "discarded_replies")
    counted: Figures = {name: getattr(score, name) for name in names}
    return counted | {name: score.count(fault) for fault, name in _FAULTS.items()}


def _times(score: Score) -> Figures:
    series = {
        "first_audio": [each.first_audio_s for each in score.answers],
        "wait": _known(each.wait_s for each in score.answers),
        "beyond": _known(each.beyond_s for each in score.answers),
        "after_end": [each.first_audio_s - each.turn_ended_s for each in score.answers],
        "duck": _known(each.duck_s for each in score.barge_ins),
        "yield": _known(each.yield_s for each in score.barge_ins),
        "last_audio": _known(each.last_audio_s for each in score.barge_ins),
        "full_volume": _known(each.full_volume_s for each in score.barge_ins),
    }
    return {
        f"{name}_p{percent}_s": float(np.percentile(values, percent)) if values else None
        for name, values in series.items()
        for percent in (50, 95)
    }


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
