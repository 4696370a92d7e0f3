"""What `voxmesh bench vlm` reports."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from voxmesh_client.bench.gate_file import Gates
from voxmesh_client.bench.pictures.asking import Answer, Verdict
from voxmesh_client.bench.pictures.runner import Run, VlmOutcome
from voxmesh_client.bench.report import Report, verdicts_json
from voxmesh_client.bench.shared_tables import memory_table, targets_table, verdict_tables
from voxmesh_client.bench.tables import MISSING, Table, number, percent
from voxmesh_client.bench.verdicts import Judgement

_METHOD = f"""## How it was measured

- Engines one after another, each question on a stream of its own, one at a time. An engine that reads text as such is
  asked to; one that only answers is asked by a prompt; what an engine that only reads cannot be asked does not count.
- Score, from 0 to 10: text, 1 less the word error rate (case and punctuation do not count); data, the share of fields
  that are right; a description, the share of facts that it mentions. Right from the share that the case names. An
  engine that refuses, as one that cannot read a script should, is told so; it counts as not right.
- First output: from the picture's first byte to the first line or the first piece of the answer. Taken: to its end.
  Queued: what the service says it waited for its turn. Characters a second: of the answer once it has begun; the
  contract tells no tokens. Cut: answers that the limit of tokens ended.
- `{MISSING}` is not measured, or does not apply.
"""
_FULL = 10


def vlm_report(run: Run, judgements: Sequence[Judgement], gates: Gates | None) -> Report:
    """The whole report."""
    outcomes, cases = run.outcomes, run.plan.cases
    seen = ((outcome.name, 1, outcome.cost.memory) for outcome in outcomes if outcome.answers)
    tables = [
        targets_table(outcomes),
        _cases(run),
        _summary(outcomes),
        memory_table(seen),
        *verdict_tables(judgements),
    ]
    return Report(
        title="Pictures",
        machine=run.machine,
        about=[f"{len(cases.cases)} questions, each {run.plan.repeat} times: `{cases.name}`."],
        tables=[table for table in tables if table.rows],
        wrong=[line for outcome in outcomes for line in _wrong(outcome)],
        method=_METHOD,
        data={**_to_json(run), "verdicts": verdicts_json(judgements, gates)},
    )


def _cases(run: Run) -> Table:
    """Every question, and under it every engine."""
    columns = ("question", "target", "verdict", "why", "score", "first output s", "taken s", "characters a s", "cut")
    rows = [
        _case_row(outcome.name, [each for each in outcome.answers if each.case is case])
        for case in run.plan.cases.cases
        for outcome in run.outcomes
        if outcome.answers
    ]
    return Table("Pictures and questions", columns, rows, text_columns=4)


def _case_row(name: str, answers: Sequence[Answer]) -> Sequence[str]:
    scores = [each.score for each in answers if each.score is not None]
    return (
        answers[0].case.about,
        name,
        " ".join(dict.fromkeys(_counted(answers))),
        next((each.reason for each in answers if each.reason), ""),
        number(_FULL * statistics.mean(scores), 1) if scores else MISSING,
        number(_median([each.first_output_s for each in answers])),
        number(_median([each.taken_s for each in answers])),
        number(_median([each.characters_per_s for each in answers]), 0),
        str(sum(each.is_cut for each in answers)),
    )


def _counted(answers: Sequence[Answer]) -> Iterator[str]:
    """Each verdict; of several answers that differ, with how often it came."""
    verdicts = [each.verdict for each in answers]
    for verdict in verdicts:
        count = verdicts.count(verdict)
        yield verdict.value if count == len(verdicts) else f"{verdict.value} {count} of {len(verdicts)}"


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _summary(outcomes: Sequence[VlmOutcome]) -> Table:
    columns = (
        "target",
        "right",
        "right %",
        "mean score",
        "refused",
        "failed",
        "not asked",
        "first output s p50",
        "p95",
        "taken s p50",
        "p95",
        "of it queued p95",
        "cut",
    )
    rows = [
        (
            outcome.name,
            f"{outcome.count(Verdict.RIGHT)} of {len(outcome.asked)}",
            percent(told["right_share"], 0),
            number(None if (score := told["score"]) is None else _FULL * score, 1),
            *(str(outcome.count(each)) for each in (Verdict.REFUSED, Verdict.FAILED, Verdict.NOT_ASKED)),
            *(number(told[f"{wait}_p{share}_s"]) for wait in ("first_output", "taken") for share in (50, 95)),
            number(told["queued_p95_s"]),
            number(told["truncated"], 0),
        )
        for outcome in outcomes
        if outcome.answers
        for told in (outcome.figures,)
    ]
    return Table("All together", columns, rows)


def _wrong(outcome: VlmOutcome) -> Iterator[str]:
    if outcome.problem:
        yield f"{outcome.name}: {outcome.problem}"
    for each in outcome.answers:
        if each.verdict is Verdict.FAILED:
            yield f"{outcome.name}, {each.case.name}: failed: {each.reason}"


def _to_json(run: Run) -> dict[str, Any]:
    return {
        "cases": {"name": run.plan.cases.name, "count": len(run.plan.cases.cases), "repeat": run.plan.repeat},
        "baseline": run.plan.baseline,
        "targets": [
            {**outcome.to_json(), **outcome.figures, "answers": [_answer_json(each) for each in outcome.answers]}
            for outcome in run.outcomes
        ],
    }


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "case": answer.case.name,
        "verdict": answer.verdict.value,
        "score": answer.score,
        "reason": answer.reason,
        "answer": answer.text,
        "first_output_s": answer.first_output_s,
        "taken_s": answer.taken_s,
        "queued_s": answer.queued_s,
        "characters_per_s": answer.characters_per_s,
        "truncated": answer.is_cut,
    }
