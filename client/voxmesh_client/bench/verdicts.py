"""Go, conditional or no-go: a run's figures against its gates."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxmesh_client.bench.gate_file import Gate, Gates
from voxmesh_client.bench.measuring import Pass
from voxmesh_client.bench.results import Run, TargetResult, figures, target_figures


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


def judge(run: Run, gates: Gates) -> list[Judgement]:
    """A judgement of every target; of the baseline too when no gate compares with it."""
    judged = [each for each in run.results if not gates.needs_baseline or each.name != run.baseline]
    baseline = run.result(run.baseline)
    return [_judge_one(each, baseline, gates) for each in judged]


def exit_status(judgements: Sequence[Judgement]) -> int:
    """0 when all go, 3 when one is conditional and none worse, else 1."""
    verdicts = {each.verdict for each in judgements}
    if Verdict.NO_GO in verdicts:
        return 1
    return 3 if Verdict.CONDITIONAL in verdicts else 0


def _judge_one(result: TargetResult, baseline: TargetResult, gates: Gates) -> Judgement:
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


def _values(gate: Gate, result: TargetResult, baseline: TargetResult) -> Iterator[float]:
    """The figure wherever it was measured; as a gain where the baseline has it too."""
    own = target_figures(result).get(gate.metric)
    if own is not None and gate.streams is None and gate.pace is None:
        yield from _gained(gate, own, target_figures(baseline).get(gate.metric))
    for each in result.passes:
        if (gate.streams in {None, each.streams}) and (gate.pace in {None, each.pace}):
            value = figures(each, result.model.device).get(gate.metric)
            other = _same(each, baseline)
            compared = None if other is None else figures(other, baseline.model.device).get(gate.metric)
            if value is not None:
                yield from _gained(gate, value, compared)


def _gained(gate: Gate, value: float, baseline: float | None) -> Iterator[float]:
    if gate.gain_above is None:
        yield value
    elif baseline:  # less than nothing cannot be had
        yield 1 - value / baseline


def _same(each: Pass, baseline: TargetResult) -> Pass | None:
    """The baseline's pass in the same manner over as many streams."""
    alike = (other for other in baseline.passes if (other.streams, other.pace) == (each.streams, each.pace))
    return next(alike, None)
