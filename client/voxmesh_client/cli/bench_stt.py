"""What `voxmesh bench stt` does once its options are read."""

from __future__ import annotations

from voxmesh_client.bench.asked import Pace, SttAsked
from voxmesh_client.bench.corpus import read_corpus
from voxmesh_client.bench.listening import Manner
from voxmesh_client.bench.plan import counts, gates_and_baseline
from voxmesh_client.bench.results import findings_of, metrics
from voxmesh_client.bench.runner import Plan, run_stt
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.stt_report import stt_report
from voxmesh_client.bench.targets import read_targets
from voxmesh_client.bench.verdicts import exit_status, judge
from voxmesh_client.cli.bench_view import ProgressView, finish, logs_folder
from voxmesh_client.cli.console import run

_PACES = {Pace.FAST: (False,), Pace.REAL_TIME: (True,), Pace.BOTH: (False, True)}
_MAX_STREAMS = 1000


def bench_stt(asked: SttAsked) -> None:
    """Check everything that was asked, measure, and print and write what was found.

    Raises:
        BenchUsage: something was asked that cannot be.
        typer.Exit: the verdict, unless it is 0.
    """
    targets = read_targets(asked.targets, asked.engines, asked.pythons)
    gates, baseline = gates_and_baseline(asked.gates, asked.baseline, targets, metrics())
    plan = _plan(asked, baseline)
    corpus = read_corpus(asked.corpus, asked.language, asked.limit)
    found = run(run_stt(targets, corpus, plan, ProgressView(shown=not asked.json)))
    judgements = [] if gates is None else judge(findings_of(found), baseline, gates)
    status = exit_status(judgements) if gates is not None else int(not all(each.is_sound for each in found.results))
    finish(stt_report(found, judgements, gates), asked, status)


def _plan(asked: SttAsked, baseline: str) -> Plan:
    streams = counts("--streams", asked.streams, _MAX_STREAMS)
    manners = [Manner(real_time, asked.chunk_s, send_language=asked.send_language) for real_time in _PACES[asked.pace]]
    limits = Limits(asked.load_timeout_s, max(streams), logs_folder(asked))
    return Plan(streams, manners, asked.soak_minutes, baseline, limits)
