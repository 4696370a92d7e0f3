"""What `voxmesh bench embed` reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxmesh_client.bench.findings import Figures
from voxmesh_client.bench.gate_file import Gates
from voxmesh_client.bench.plot import draw_waits, over_streams, panels
from voxmesh_client.bench.report import Report, verdicts_json
from voxmesh_client.bench.shared_tables import (
    failure_lines,
    memory_table,
    ratio_table,
    targets_table,
    verdict_tables,
)
from voxmesh_client.bench.tables import MISSING, Table, number, percent
from voxmesh_client.bench.vectors.passes import BATCHES_A_STREAM, MAX_AT_ONCE, EmbedOutcome, Pass, figures
from voxmesh_client.bench.vectors.runner import Run
from voxmesh_client.bench.verdicts import Judgement

_METHOD = f"""## How it was measured

- Targets one after another. Each stream sends a batch when the one before is answered, at least {BATCHES_A_STREAM} in a
  round; texts are queries, documents and passages of four documents in turn, no text twice.
- Directly: the same texts by the same engine with the same settings, in a process of its own without a service, as many
  at once as are under way in the service, {MAX_AT_ONCE} at most. The two take turns round by round, each idle while the
  other works; the ratio is the median over the rounds, 1 when the service costs nothing. On a machine that others keep
  busy the service, which is several threads, gets a larger share of it: look at the CPU times.
- Throughput: from the first message to the last answer, all streams together. Latency: of a batch, from its message to
  its answer. Queued: what the service says a batch waited for its turn, of its latency. Cut: texts whose end the model
  did not read.
- Batch and single: each document alone and all in one message, the largest difference of a value and the least cosine.
- Found: share of queries whose own document is the nearest. Agrees: share of queries for which that encoding finds the
  same document nearest as floats do.
- Memory and CPU: see `voxmesh bench stt`. `{MISSING}` is not measured, or does not apply.
"""
_RATIOS = {
    "texts_per_s": "texts per s",
    "latency_p50_s": "latency, median",
    "latency_p95_s": "latency, p95",
    "cpu_s_per_text": "CPU",
    "model_gb": "memory",
}
_DRAWN = 4
"""Sizes of batches that still can be told apart in a plot."""


def embed_report(run: Run, judgements: Sequence[Judgement], gates: Gates | None) -> Report:
    """The whole report."""
    outcomes, plan = run.outcomes, run.plan
    seen = ((outcome.name, each.load.streams, each.cost.memory) for outcome, each, _ in _passes(outcomes))
    tables = [
        targets_table(outcomes),
        _throughput(outcomes),
        _latency(outcomes),
        _quality(outcomes),
        memory_table(seen),
        ratio_table([outcome.findings() for outcome in outcomes], plan.baseline, _RATIOS),
        *verdict_tables(judgements),
    ]
    return Report(
        title="Embeddings",
        machine=run.machine,
        about=[f"{len(plan.pairs.pairs)} queries and documents; rounds of at least {plan.least_texts} texts."],
        tables=[table for table in tables if table.rows],
        wrong=[line for outcome in outcomes for line in _wrong(outcome)],
        method=_METHOD,
        data={**_to_json(run), "verdicts": verdicts_json(judgements, gates)},
        draw=lambda path: _draw(outcomes, path),
        plot_text="throughput and latency over streams",
    )


def _passes(outcomes: Sequence[EmbedOutcome]) -> Iterator[tuple[EmbedOutcome, Pass, Figures]]:
    for outcome in outcomes:
        for each in outcome.passes:
            yield outcome, each, figures(each, outcome.model.device)


def _throughput(outcomes: Sequence[EmbedOutcome]) -> Table:
    columns = (
        "target",
        "streams",
        "batch",
        "texts per s",
        "tokens per s",
        "directly, texts per s",
        "ratio",
        "CPU-ms a text",
        "directly",
        "failed",
    )
    rows = [
        (
            outcome.name,
            str(each.load.streams),
            str(each.load.batch),
            number(told["texts_per_s"], 1),
            number(told["tokens_per_s"], 0),
            number(told["direct_texts_per_s"], 1),
            number(told["direct_ratio"], 3),
            *(_milliseconds(told[f"{way}cpu_s_per_text"], 2) for way in ("", "direct_")),
            str(len(each.failures)),
        )
        for outcome, each, told in _passes(outcomes)
    ]
    return Table("Throughput", columns, rows)


def _latency(outcomes: Sequence[EmbedOutcome]) -> Table:
    columns = ("target", "streams", "batch", "latency ms p50", "p95", "of it queued ms p50", "p95", "texts cut")
    rows = [
        (
            outcome.name,
            str(each.load.streams),
            str(each.load.batch),
            *(_milliseconds(told[f"{wait}_p{share}_s"], 1) for wait in ("latency", "queued") for share in (50, 95)),
            number(told["truncated"], 0),
        )
        for outcome, each, told in _passes(outcomes)
    ]
    return Table("From a batch to its answer", columns, rows)


def _quality(outcomes: Sequence[EmbedOutcome]) -> Table:
    columns = (
        "target",
        "dimensions",
        "batch and single, largest difference",
        "least cosine",
        "found %",
        "int8: found %",
        "agrees %",
        "binary: found %",
        "agrees %",
    )
    rows = [
        (
            outcome.name,
            str(outcome.dimensions),
            MISSING if quality.batch_difference is None else f"{quality.batch_difference:.1e}",
            number(quality.batch_cosine, 5),
            percent(quality.recall_at_1, 1),
            percent(quality.int8_recall_at_1, 1),
            percent(quality.int8_agreement, 1),
            percent(quality.binary_recall_at_1, 1),
            percent(quality.binary_agreement, 1),
        )
        for outcome in outcomes
        if not outcome.problem
        for quality in (outcome.quality,)
    ]
    return Table("What the vectors are worth", columns, rows)


def _milliseconds(seconds: float | None, digits: int) -> str:
    return number(None if seconds is None else 1000 * seconds, digits)


def _wrong(outcome: EmbedOutcome) -> Iterator[str]:
    if outcome.problem:
        yield f"{outcome.name}: {outcome.problem}"
    for each in outcome.passes:
        where = f"{outcome.name}, {each.load.streams} streams, batches of {each.load.batch}"
        yield from failure_lines(where, each.failures, each.load.streams * len(each.rounds), "streams")


def _to_json(run: Run) -> dict[str, Any]:
    return {
        "pairs": len(run.plan.pairs.pairs),
        "least_texts": run.plan.least_texts,
        "baseline": run.plan.baseline,
        "targets": [
            {
                **outcome.to_json(),
                **outcome.figures,
                "dimensions": outcome.dimensions,
                "direct_problem": outcome.direct_problem,
                "passes": [_pass_json(each, outcome.model.device) for each in outcome.passes],
            }
            for outcome in run.outcomes
        ],
    }


def _pass_json(each: Pass, device: str) -> dict[str, Any]:
    return {
        **asdict(each.load),
        **figures(each, device),
        "rounds": [
            {
                "texts": one.texts,
                "service_s": one.service_s,
                "direct_s": None if one.direct is None else one.direct.taken_s,
                "failures": one.failures,
            }
            for one in each.rounds
        ],
    }


def _draw(outcomes: Sequence[EmbedOutcome], path: Path) -> None:
    with panels(path) as (throughput, latency):
        index = 0
        for outcome in outcomes:
            found = outcome.findings().passes
            for batch in list(dict.fromkeys(each.where["batch"] for each in found))[:_DRAWN]:
                chosen = [each for each in found if each.where["batch"] == batch]
                label = f"{outcome.name}, batches of {batch}"
                over_streams(throughput, chosen, "texts_per_s", label, index)
                over_streams(throughput, chosen, "direct_texts_per_s", f"{label}, directly", index, dashed=True)
                draw_waits(latency, chosen, "latency", label, index)
                index += 1
        throughput.set(xlabel="streams at once", ylabel="texts per second")
        latency.set(xlabel="streams at once", ylabel="batch to answer, median to p95, ms")
