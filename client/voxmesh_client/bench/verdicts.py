"""Go, conditional or no-go: the figures of targets against gates."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxmesh_client.bench.findings import Findings, Measured
from voxmesh_client.bench.gate_file import Gate, Gates


class Verdict(enum.Enum):
    """What to do with a target."""

    GO = "go"
    CONDITIONAL = "conditional"
    NO_GO = "no-go"


@dataclass(frozen=True, slots=True)
class Judged:
    """One gate and what was found; `value` is the figure, or the gain over the baseline."""

    gate: Gate
    value: float | None
    """The worst over the passes; None when it was not measured."""

    @property
    def is_met(self) -> bool:
        """True when it was measured and keeps the limit."""
        return self.value is not None and self.gate.keeps(self.value)


@dataclass(frozen=True, slots=True)
class Judgement:
    """All gates of one target."""

    target: str
    verdict: Verdict
    gates: Sequence[Judged]


def judge(found: Sequence[Findings], baseline: str, gates: Gates) -> list[Judgement]:
    """A judgement of every target; of the baseline too when no gate compares with it.

    Args:
        found: the figures of all targets.
        baseline: name of the target that the others are compared with.
        gates: what must be kept.
    """
    judged = [each for each in found if not gates.needs_baseline or each.name != baseline]
    compared = next(each for each in found if each.name == baseline)
    return [_judge_one(each, compared, gates) for each in judged]


def exit_status(judgements: Sequence[Judgement]) -> int:
    """0 when all go, 3 when one is conditional and none worse, else 1."""
    verdicts = {each.verdict for each in judgements}
    if Verdict.NO_GO in verdicts:
        return 1
    return 3 if Verdict.CONDITIONAL in verdicts else 0


def _judge_one(result: Findings, baseline: Findings, gates: Gates) -> Judgement:
    judged = [Judged(gate, _worst(gate, list(_values(gate, result, baseline)))) for gate in gates.gates]
    met = sum(each.is_met for each in judged)
    if met == len(judged):
        verdict = Verdict.GO
    elif gates.conditional_from is not None and met >= gates.conditional_from:
        verdict = Verdict.CONDITIONAL
    else:
        verdict = Verdict.NO_GO
    return Judgement(result.name, verdict, judged)


def _worst(gate: Gate, values: Sequence[float]) -> float | None:
    return (max if gate.wants_less else min)(values, default=None)


def _values(gate: Gate, result: Findings, baseline: Findings) -> Iterator[float]:
    """The figure wherever it was measured; as a gain where the baseline has it too."""
    own = result.figures.get(gate.metric)
    if own is not None and not gate.where:
        yield from _gained(gate, own, baseline.figures.get(gate.metric))
    for each in result.passes:
        value = each.figures.get(gate.metric)
        if value is not None and gate.where.items() <= each.where.items():
            other = same_pass(each, baseline)
            yield from _gained(gate, value, None if other is None else other.figures.get(gate.metric))


def _gained(gate: Gate, value: float, baseline: float | None) -> Iterator[float]:
    if gate.gain_above is None:
        yield value
    elif baseline:  # less than nothing cannot be had
        yield 1 - value / baseline


def same_pass(each: Measured, baseline: Findings) -> Measured | None:
    """The baseline's pass in the same manner, such as over as many streams."""
    return next((other for other in baseline.passes if other.where == each.where), None)
