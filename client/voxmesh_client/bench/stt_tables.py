"""The tables of `voxmesh bench stt`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxmesh_client.bench.findings import Figures
from voxmesh_client.bench.measuring import Pass
from voxmesh_client.bench.results import Run, TargetResult, figures, findings_of
from voxmesh_client.bench.shared_tables import (
    failure_lines,
    memory_table,
    ratio_table,
    targets_table,
    verdict_tables,
)
from voxmesh_client.bench.tables import Table, number, percent
from voxmesh_client.bench.verdicts import Judgement

_RATIOS = {
    "wer": "WER",
    "cer": "CER",
    "real_time_factor": "real-time factor",
    "cpu_s_per_s": "CPU",
    "final_delay_p50_s": "final, median",
    "final_delay_p95_s": "final, p95",
    "first_interim_p50_s": "first interim, median",
    "model_gb": "memory",
}
_MIB_DIGITS = 0


def stt_tables(run: Run, judgements: Sequence[Judgement]) -> list[Table]:
    """All tables that have rows."""
    every = [
        targets_table(run.results),
        _fast(run),
        _real_time(run),
        memory_table((result.name, each.streams, each.memory) for result in run.results for each in result.passes),
        ratio_table(findings_of(run), run.baseline, _RATIOS),
        _soaks(run),
        *verdict_tables(judgements),
    ]
    return [table for table in every if table.rows]


def failures(run: Run) -> list[str]:
    """A sentence for everything that went wrong, alike ones together."""
    return [line for result in run.results for line in _failures_of(result)]


def _passes(run: Run, *, real_time: bool) -> Iterator[tuple[TargetResult, Pass, Figures]]:
    for result in run.results:
        for each in result.passes:
            if each.manner.real_time is real_time:
                yield result, each, figures(each, result.model.device)


def _fast(run: Run) -> Table:
    columns = ("target", "streams", "WER %", "CER %", "real-time factor", "throughput", "CPU-s per s", "failed")
    rows = [
        (
            result.name,
            str(each.streams),
            percent(told["wer"]),
            percent(told["cer"]),
            number(told["real_time_factor"], 3),
            number(told["throughput"], 1),
            number(told["cpu_s_per_s"], 3),
            f"{len(each.failures)} of {len(each.heard)}",
        )
        for result, each, told in _passes(run, real_time=False)
    ]
    return Table("As fast as the service takes audio, finals alone", columns, rows)


def _real_time(run: Run) -> Table:
    columns = (
        "target",
        "streams",
        "WER %",
        "final s p50",
        "p95",
        "first interim s p50",
        "p95",
        "interim words changed %",
        "promises broken",
        "CPU-s per s",
        "failed",
    )
    rows = [
        (
            result.name,
            str(each.streams),
            percent(told["wer"]),
            number(told["final_delay_p50_s"], 3),
            number(told["final_delay_p95_s"], 3),
            number(told["first_interim_p50_s"]),
            number(told["first_interim_p95_s"]),
            percent(told["interim_changed_share"], 1),
            f"{each.stability.promises_broken} of {each.stability.promises}",
            number(told["cpu_s_per_s"], 3),
            f"{len(each.failures)} of {len(each.heard)}",
        )
        for result, each, told in _passes(run, real_time=True)
    ]
    return Table("At the pace of a microphone, with interim results", columns, rows)


def _soaks(run: Run) -> Table:
    columns = ("target", "audio min", "took min", "WER %", "MiB at first", "at last", "MiB per hour", "memory")
    rows: list[Sequence[str]] = []
    for result in run.results:
        if (soak := result.soak) is not None:
            held = [look.held_mib for look in soak.looks]
            rows.append(
                (
                    result.name,
                    number(soak.audio_s / 60, 1),
                    number(soak.taken_s / 60, 1),
                    percent(soak.score.words.rate),
                    number(held[0], _MIB_DIGITS),
                    number(held[-1], _MIB_DIGITS),
                    number(soak.growth_mib_per_hour, 1),
                    f"broke off: {soak.failure}" if soak.failure else soak.verdict,
                )
            )
    return Table("One long stream", columns, rows)


def _failures_of(result: TargetResult) -> Iterator[str]:
    if result.problem:
        yield f"{result.name}: {result.problem}"
    for each in result.passes:
        where = f"{result.name}, {each.pace}, {each.streams} streams"
        yield from failure_lines(where, [heard.failure for heard in each.failures], len(each.heard), "clips")
        if each.stability.promises_broken:
            yield f"{where}: {each.stability.promises_broken} promises of stable text were broken"
    if result.soak is not None and result.soak.failure:
        yield f"{result.name}: the long stream broke off: {result.soak.failure}"
