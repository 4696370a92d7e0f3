"""The tables of `voxmesh bench stt`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxmesh_client.bench.measuring import Pass
from voxmesh_client.bench.results import Figures, Run, TargetResult, figures
from voxmesh_client.bench.tables import MISSING, Table, number, percent
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
        _targets(run),
        _fast(run),
        _real_time(run),
        _memory(run),
        _against_baseline(run),
        _soaks(run),
        *_verdicts(judgements),
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


def _targets(run: Run) -> Table:
    rows = [
        (
            result.name,
            _with_reason(f"{result.model.engine} {result.model.engine_version}".strip(), result.model.engine_reason),
            result.model.model or MISSING,
            _with_reason(result.model.device, result.model.device_reason),
            _loaded(result),
        )
        for result in run.results
    ]
    return Table("Targets", ("target", "engine", "model", "device", "loaded after s"), rows, text_columns=4)


def _with_reason(text: str, reason: str) -> str:
    """What is used, and why it is not the first choice."""
    return (f"{text} ({reason})" if reason else text) or MISSING


def _loaded(result: TargetResult) -> str:
    if result.problem:
        return "no"
    return "ran already" if result.load_s is None else number(result.load_s, 1)


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


def _memory(run: Run) -> Table:
    rows: list[Sequence[str]] = []
    for result in run.results:
        for streams in dict.fromkeys(each.streams for each in result.passes):
            peaks = [each.memory for each in result.passes if each.streams == streams]
            most = peaks[0]
            for other in peaks[1:]:
                most = most.most(other)
            told = (most.rss_mib, most.pss_mib, most.anonymous_mib, most.gpu_mib)
            cells = ("not measured" if value is None else number(value, _MIB_DIGITS) for value in told)
            rows.append((result.name, str(streams), *cells))
    return Table("Memory of the server at most, MiB", ("target", "streams", "RSS", "PSS", "anonymous", "GPU"), rows)


def _against_baseline(run: Run) -> Table:
    """Each figure divided by the baseline's in the same run."""
    baseline = run.result(run.baseline)
    rows: list[Sequence[str]] = []
    for result in run.results:
        for each in result.passes if result is not baseline else ():
            same = next((o for o in baseline.passes if (o.streams, o.pace) == (each.streams, each.pace)), None)
            if same is not None:
                own, other = figures(each, result.model.device), figures(same, baseline.model.device)
                rows.append((result.name, each.pace, str(each.streams), *(_ratio(own[m], other[m]) for m in _RATIOS)))
    columns = ("target", "pace", "streams", *_RATIOS.values())
    return Table(f"Divided by {run.baseline}", columns, rows)


def _ratio(own: float | None, other: float | None) -> str:
    return number(own / other) if own is not None and other else MISSING


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


def _verdicts(judgements: Sequence[Judgement]) -> Iterator[Table]:
    for judgement in judgements:
        rows = [
            (
                each.gate.name or each.gate.metric,
                str(each.gate),
                _found(each.value),
                "met" if each.is_met else "not met",
            )
            for each in judgement.gates
        ]
        title = f"Verdict on {judgement.target}: {judgement.verdict.value}"
        yield Table(title, ("gate", "limit", "found", ""), rows, text_columns=2)


def _found(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _failures_of(result: TargetResult) -> Iterator[str]:
    if result.problem:
        yield f"{result.name}: {result.problem}"
    for each in result.passes:
        where = f"{result.name}, {each.pace}, {each.streams} streams"
        reasons = [heard.failure for heard in each.failures]
        for reason in dict.fromkeys(reasons):
            yield f"{where}: {reasons.count(reason)} of {len(each.heard)} clips failed: {reason}"
        if each.stability.promises_broken:
            yield f"{where}: {each.stability.promises_broken} promises of stable text were broken"
    if result.soak is not None and result.soak.failure:
        yield f"{result.name}: the long stream broke off: {result.soak.failure}"
