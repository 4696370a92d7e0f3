"""What `voxmesh bench embed` does once its options are read."""

from __future__ import annotations

from pathlib import Path

from voxmesh_client.bench.asked import EmbedAsked
from voxmesh_client.bench.each_target import View
from voxmesh_client.bench.plan import counts, gates_and_baseline
from voxmesh_client.bench.report import Report
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.targets import read_targets
from voxmesh_client.bench.vectors.pair_file import read_pairs
from voxmesh_client.bench.vectors.passes import Load, metrics
from voxmesh_client.bench.vectors.report import embed_report
from voxmesh_client.bench.vectors.runner import Plan, run_embed
from voxmesh_client.bench.verdicts import exit_status, judge
from voxmesh_client.slots import EMBED

_MAX_STREAMS = 1000
_MAX_BATCH = 256
"""Texts of a message, by the contract."""


async def bench_embed(asked: EmbedAsked, logs: Path, view: View) -> tuple[Report, int]:
    """Check everything that was asked and measure; the report and the exit status.

    Raises:
        BenchUsage: something was asked that cannot be.
    """
    targets = read_targets(asked.targets, asked.engines, asked.pythons, EMBED)
    gates, baseline = gates_and_baseline(asked.gates, asked.baseline, targets, metrics())
    streams, batches = counts("--streams", asked.streams, _MAX_STREAMS), counts("--batch", asked.batch, _MAX_BATCH)
    plan = Plan(
        pairs=read_pairs(asked.pairs),
        loads=[Load(each, batch) for batch in batches for each in streams],
        rounds=asked.rounds,
        least_texts=asked.least_texts,
        direct=asked.direct,
        baseline=baseline,
        limits=Limits(asked.load_timeout_s, max(streams), logs, EMBED),
    )
    found = await run_embed(targets, plan, view)
    judgements = [] if gates is None else judge([each.findings() for each in found.outcomes], baseline, gates)
    is_right = not any(each.problem or any(one.failures for one in each.passes) for each in found.outcomes)
    return embed_report(found, judgements, gates), int(not is_right) if gates is None else exit_status(judgements)
