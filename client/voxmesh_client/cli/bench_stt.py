"""What `voxmesh bench stt` does once its options are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from voxmesh_client.bench.asked import Asked, Pace, SttAsked
from voxmesh_client.bench.corpus import read_corpus
from voxmesh_client.bench.gate_file import Gates, read_gates
from voxmesh_client.bench.listening import Manner
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.report import to_dict, write_report
from voxmesh_client.bench.results import Run
from voxmesh_client.bench.runner import Plan, run_stt
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.stt_tables import failures, stt_tables
from voxmesh_client.bench.targets import Target, read_targets
from voxmesh_client.bench.verdicts import Judgement, exit_status, judge
from voxmesh_client.cli.bench_view import ProgressView
from voxmesh_client.cli.console import err, out, print_json, run
from voxmesh_client.settings import MeshSettings

_PACES = {Pace.FAST: (False,), Pace.REAL_TIME: (True,), Pace.BOTH: (False, True)}
_MAX_STREAMS = 1000


def bench_stt(asked: SttAsked) -> None:
    """Check everything that was asked, measure, and print and write what was found.

    Raises:
        BenchUsage: something was asked that cannot be.
        typer.Exit: the verdict, unless it is 0.
    """
    targets = read_targets(asked.targets, asked.engines, asked.pythons)
    gates = None if asked.gates is None else read_gates(asked.gates)
    plan = _plan(asked, targets, gates)
    corpus = read_corpus(asked.corpus, asked.language, asked.limit)
    found = run(run_stt(targets, corpus, plan, ProgressView(shown=not asked.json)))
    judgements = [] if gates is None else judge(found, gates)
    written = [] if asked.out is None else write_report(asked.out, found, judgements, gates)
    if asked.json:
        print_json(to_dict(found, judgements, gates))
    else:
        _print(found, judgements, written)
    status = exit_status(judgements) if gates is not None else int(not all(each.is_sound for each in found.results))
    if status:
        raise typer.Exit(status)


def logs_folder(asked: Asked) -> Path:
    """Where the logs of servers go that are started."""
    return MeshSettings().state_dir / "bench" if asked.out is None else asked.out / "logs"


def _plan(asked: SttAsked, targets: Sequence[Target], gates: Gates | None) -> Plan:
    streams = _streams(asked.streams)
    names = [target.name for target in targets]
    baseline = asked.baseline or names[0]
    if baseline not in names:
        raise BenchUsage(f"--baseline {baseline}: is none of the targets: {', '.join(names)}")
    if gates is not None and gates.needs_baseline and len(names) == 1:
        raise BenchUsage(f"--gates {asked.gates}: compares with a baseline; give a second --engine or --target")
    manners = [Manner(real_time, asked.chunk_s, send_language=asked.send_language) for real_time in _PACES[asked.pace]]
    limits = Limits(asked.load_timeout_s, max(streams), logs_folder(asked))
    return Plan(streams, manners, asked.soak_minutes, baseline, limits)


def _streams(text: str) -> list[int]:
    pieces = [piece.strip() for piece in text.split(",")]
    if not all(piece.isdecimal() and 1 <= int(piece) <= _MAX_STREAMS for piece in pieces):
        raise BenchUsage(f"--streams {text}: must be numbers from 1 to {_MAX_STREAMS}, separated by commas")
    return list(dict.fromkeys(map(int, pieces)))


def _print(found: Run, judgements: Sequence[Judgement], written: Sequence[Path]) -> None:
    for line in found.machine.lines():
        out.print(line, markup=False)
    for table in stt_tables(found, judgements):
        out.print()
        out.print(table.rich())
    for line in failures(found):
        err.print(line, markup=False, style="red")
    if written:
        out.print(f"written: {', '.join(map(str, written))}", markup=False)
