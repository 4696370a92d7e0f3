"""What `voxmesh bench biasing` does once its options are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from voxmesh_client.bench.asked import BiasingAsked
from voxmesh_client.bench.biasing import CaseClips, run_biasing, shortfalls
from voxmesh_client.bench.biasing_report import biasing_tables, to_dict, write_biasing
from voxmesh_client.bench.case_file import Cases, read_cases
from voxmesh_client.bench.listening import Manner
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.targets import read_targets
from voxmesh_client.cli.bench_view import ProgressView, logs_folder
from voxmesh_client.cli.console import err, out, print_json, run


def bench_biasing(asked: BiasingAsked) -> None:
    """Check everything that was asked, listen, and print and write what was heard.

    Raises:
        BenchUsage: something was asked that cannot be.
        typer.Exit: with 1 when something is not as expected.
    """
    targets = read_targets(asked.targets, asked.engines, asked.pythons)
    clips = _clips(asked.cases)
    expected = _expected(asked.expect, clips.cases)
    limits = Limits(asked.load_timeout_s, logs=logs_folder(asked))
    load_before = load()
    manner = Manner(send_language=asked.send_language)
    results = run(run_biasing(targets, clips, manner, limits, ProgressView(shown=not asked.json)))
    machine = Machine.now(load_before)
    wrong = shortfalls(results, clips.cases, expected)
    written = [] if asked.out is None else write_biasing(asked.out, machine, results, clips, wrong)
    if asked.json:
        print_json(to_dict(machine, results, clips, wrong))
    else:
        for table in biasing_tables(results, clips):
            out.print(table.rich())
        for line in wrong:
            err.print(line, markup=False, style="red")
        if written:
            out.print(f"written: {', '.join(map(str, written))}", markup=False)
    if wrong:
        raise typer.Exit(1)


def _clips(name: str) -> CaseClips:
    cases, path = read_cases(name)
    clips = [cases.clip(case, path) for case in cases.clips]
    return CaseClips(cases, clips, [cases.clip(case, path) for case in cases.controls])


def _expected(texts: Sequence[str], cases: Cases) -> Mapping[str, float]:
    """Least shares by context of `--expect CONTEXT=SHARE`."""
    expected: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        if name not in cases.contexts:
            raise BenchUsage(f"--expect {text}: no context {name!r}; known: {', '.join(cases.contexts)}")
        try:
            expected[name] = float(share)
        except ValueError:
            expected[name] = -1.0
        if not 0 <= expected[name] <= 1:
            raise BenchUsage(f"--expect {text}: must be CONTEXT=SHARE with a share from 0 to 1")
    return expected
