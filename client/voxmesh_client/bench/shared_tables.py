"""The tables that benchmarks of several slots have: targets, memory, ratios to the baseline, verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple

from voxmesh_client.bench.findings import Findings, TargetOutcome
from voxmesh_client.bench.processes import Memory
from voxmesh_client.bench.tables import MISSING, Table, number
from voxmesh_client.bench.verdicts import Judgement, same_pass

_MIB_DIGITS = 0


def targets_table(outcomes: Sequence[TargetOutcome]) -> Table:
    """What was measured, on which device, and how long it took to load."""
    rows = [
        (
            each.name,
            _with_reason(f"{each.model.engine} {each.model.engine_version}".strip(), each.model.engine_reason),
            each.model.model or MISSING,
            _with_reason(each.model.device, each.model.device_reason),
            _loaded(each),
        )
        for each in outcomes
    ]
    return Table("Targets", ("target", "engine", "model", "device", "loaded after s"), rows, text_columns=4)


def memory_table(seen: Iterable[tuple[str, int, Memory]]) -> Table:
    """The most that was seen of each target at each number of streams; `seen` has them pass by pass."""
    most: dict[tuple[str, int], Memory] = {}
    for name, streams, memory in seen:
        most[name, streams] = memory.most(most.get((name, streams), Memory()))
    rows = [
        (name, str(streams), *("not measured" if mib is None else number(mib, _MIB_DIGITS) for mib in astuple(memory)))
        for (name, streams), memory in most.items()
    ]
    return Table("Memory of the server at most, MiB", ("target", "streams", "RSS", "PSS", "anonymous", "GPU"), rows)


def ratio_table(found: Sequence[Findings], baseline: str, metrics: Mapping[str, str]) -> Table:
    """Each figure divided by the baseline's in the same pass; `metrics` are names of figures with their headings."""
    compared = next(each for each in found if each.name == baseline)
    rows: list[Sequence[str]] = []
    where: Sequence[str] = ()
    for each in found:
        for own in each.passes if each is not compared else ():
            if (other := same_pass(own, compared)) is not None:
                where = list(own.where)
                ratios = (_ratio(own.figures[metric], other.figures[metric]) for metric in metrics)
                rows.append((each.name, *map(str, own.where.values()), *ratios))
    return Table(f"Divided by {baseline}", ("target", *where, *metrics.values()), rows)


def verdict_tables(judgements: Sequence[Judgement]) -> Iterator[Table]:
    """A table of its gates for every target that was judged."""
    for judgement in judgements:
        rows = [
            (
                each.gate.name or each.gate.metric,
                str(each.gate),
                "not measured" if each.value is None else f"{each.value:.4g}",
                "met" if each.is_met else "not met",
            )
            for each in judgement.gates
        ]
        title = f"Verdict on {judgement.target}: {judgement.verdict.value}"
        yield Table(title, ("gate", "limit", "found", ""), rows, text_columns=2)


def failure_lines(where: str, failures: Sequence[str], tried: int, kind: str) -> Iterator[str]:
    """A sentence for each reason of failures, alike ones together."""
    for reason in dict.fromkeys(failures):
        yield f"{where}: {failures.count(reason)} of {tried} {kind} failed: {reason}"


def _with_reason(text: str, reason: str) -> str:
    """What is used, and why it is not the first choice."""
    return (f"{text} ({reason})" if reason else text) or MISSING


def _loaded(outcome: TargetOutcome) -> str:
    if outcome.problem:
        return "no"
    return "ran already" if outcome.load_s is None else number(outcome.load_s, 1)


def _ratio(own: float | None, other: float | None) -> str:
    return number(own / other) if own is not None and other else MISSING
