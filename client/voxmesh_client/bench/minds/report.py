"""What `voxmesh bench llm` reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from voxmesh_client.bench.gate_file import Gates
from voxmesh_client.bench.minds.evaluation import Summary
from voxmesh_client.bench.minds.passes import figures
from voxmesh_client.bench.minds.runner import LlmOutcome, Run
from voxmesh_client.bench.plot import draw_waits, over_streams, panels
from voxmesh_client.bench.report import Report, verdicts_json
from voxmesh_client.bench.shared_tables import failure_lines, targets_table, verdict_tables
from voxmesh_client.bench.tables import MISSING, Table, number
from voxmesh_client.bench.verdicts import Judgement

_METHOD = f"""## How it was measured

- Upstreams one after another. Speed: the same short question by all streams at once, each on one of its own that is
  open already, so that the upstream has read it before; the likeliest tokens. Through the proxy and directly take turns
  round by round, in every other round directly first; two rounds before do not count.
- First token: from the question to the first piece of text. Later: the median over the rounds of the proxy's first
  token less the direct one of the same round. Tokens a second: of an answer once it has begun, the median; all: of all
  streams together through the proxy, with the wait for the first token.
- Tasks: each question once, by the proxy, at temperature 0; score from 0 to 10 by what the task file says. Data is
  asked for by its schema. Nothing: an answer without text. Failed:
  refused, broken off, or longer than the time it is given.
- `{MISSING}` is not measured, or does not apply.
"""


def llm_report(run: Run, judgements: Sequence[Judgement], gates: Gates | None) -> Report:
    """The whole report."""
    outcomes, plan, tasks = run.outcomes, run.plan, run.plan.tasks
    tables = [
        targets_table(outcomes),
        _speed(outcomes),
        _tasks(run),
        _reliability(outcomes, [manner.thinking for manner in plan.manners]),
        *verdict_tables(judgements),
    ]
    return Report(
        title="Language models",
        machine=run.machine,
        about=[f"{plan.rounds} rounds of {plan.max_tokens} tokens; {len(tasks.tasks)} questions: `{tasks.name}`."],
        tables=[table for table in tables if table.rows],
        wrong=[line for outcome in outcomes for line in _wrong(outcome)],
        method=_METHOD,
        data={**_to_json(run), "verdicts": verdicts_json(judgements, gates)},
        draw=lambda path: _draw(outcomes, path),
        plot_text="first token and tokens a second over streams",
    )


def _speed(outcomes: Sequence[LlmOutcome]) -> Table:
    columns = (
        *("target", "streams", "first token ms p50", "p95", "directly ms p50", "p95", "later ms"),
        *("tokens a s", "directly", "all tokens a s", "failed"),
    )
    rows = [
        (
            outcome.name,
            str(each.streams),
            *(_ms(told[f"{way}first_token_p{share}_s"]) for way in ("", "direct_") for share in (50, 95)),
            _ms(told["overhead_p50_s"]),
            *(number(told[name], 1) for name in ("tokens_per_s", "direct_tokens_per_s", "all_tokens_per_s")),
            str(len(each.failures)),
        )
        for outcome in outcomes
        for each in outcome.passes
        for told in (figures(each),)
    ]
    return Table("First token and speed", columns, rows)


def _tasks(run: Run) -> Table:
    columns = ("target", "task", "score without thinking", "with", "s without", "with", "times as long")
    rows = [
        _task_row(outcome, task) for outcome in run.outcomes if outcome.answers for task in (*run.plan.tasks.names, "")
    ]
    return Table("Tasks, thinking off and on", columns, rows, text_columns=2)


def _task_row(outcome: LlmOutcome, task: str) -> Sequence[str]:
    off, on = (outcome.summary(thinking=thinking, task=task) for thinking in (False, True))
    longer = on.taken_s / off.taken_s if on.taken_s is not None and off.taken_s else None
    return (
        outcome.name,
        task or "all",
        *(number(each.score, 1) for each in (off, on)),
        *(number(each.taken_s) for each in (off, on)),
        number(longer, 1),
    )


def _reliability(outcomes: Sequence[LlmOutcome], thinking: Sequence[bool]) -> Table:
    columns = ("target", "thinking", "asked", "nothing", "failed", "output tokens")
    rows = [
        (outcome.name, "on" if way else "off", *_counts(outcome.summary(thinking=way)))
        for outcome in outcomes
        if outcome.answers
        for way in thinking
    ]
    return Table("What came to nothing", columns, rows, text_columns=2)


def _counts(summary: Summary) -> tuple[str, ...]:
    return tuple(map(str, (summary.asked, summary.empty, summary.failed, summary.output_tokens)))


def _ms(seconds: float | None) -> str:
    return number(None if seconds is None else 1000 * seconds, 1)


def _wrong(outcome: LlmOutcome) -> Iterator[str]:
    if outcome.problem:
        yield f"{outcome.name}: {outcome.problem}"
    for each in outcome.passes:
        tried = len(each.proxy) + len(each.direct)
        yield from failure_lines(f"{outcome.name}, {each.streams} streams", each.failures, tried, "answers")
    for answer in outcome.answers:
        if answer.failure:
            way = "with" if answer.thinking else "without"
            yield f"{outcome.name}, {answer.task.task} {way} thinking: {answer.failure}"


def _to_json(run: Run) -> dict[str, Any]:
    return {
        "tasks": run.plan.tasks.name,
        "baseline": run.plan.baseline,
        "targets": [
            {
                **outcome.to_json(),
                **outcome.figures,
                "passes": [{"streams": each.streams, **figures(each)} for each in outcome.passes],
                "answers": [
                    {
                        "task": each.task.task,
                        "thinking": each.thinking,
                        "score": each.score,
                        "taken_s": each.taken_s,
                        "output_tokens": each.output_tokens,
                        "answer": each.text,
                        "failure": each.failure,
                    }
                    for each in outcome.answers
                ],
            }
            for outcome in run.outcomes
        ],
    }


def _draw(outcomes: Sequence[LlmOutcome], path: Path) -> None:
    with panels(path) as (first, speed):
        for index, outcome in enumerate(outcomes):
            found = outcome.findings().passes
            draw_waits(first, found, "first_token", outcome.name, index)
            over_streams(speed, found, "tokens_per_s", outcome.name, index)
            over_streams(speed, found, "direct_tokens_per_s", f"{outcome.name}, directly", index, dashed=True)
        first.set(xlabel="streams at once", ylabel="first token, median to p95, ms")
        speed.set(xlabel="streams at once", ylabel="tokens per second of a stream")
