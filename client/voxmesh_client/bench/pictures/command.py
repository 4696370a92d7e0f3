"""What `voxmesh bench vlm` does once its options are read."""

from __future__ import annotations

from pathlib import Path

from voxmesh_client.bench.asked import VlmAsked
from voxmesh_client.bench.each_target import View
from voxmesh_client.bench.pictures.asking import Verdict
from voxmesh_client.bench.pictures.case_file import read_cases
from voxmesh_client.bench.pictures.report import vlm_report
from voxmesh_client.bench.pictures.runner import Plan, metrics, run_vlm
from voxmesh_client.bench.plan import gates_and_baseline
from voxmesh_client.bench.report import Report
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.targets import read_targets
from voxmesh_client.bench.verdicts import exit_status, judge
from voxmesh_client.slots import VLM


async def bench_vlm(asked: VlmAsked, logs: Path, view: View) -> tuple[Report, int]:
    """Check everything that was asked and ask the engines; the report and the exit status.

    Raises:
        BenchUsage: something was asked that cannot be.
    """
    targets = read_targets(asked.targets, asked.engines, asked.pythons, VLM)
    gates, baseline = gates_and_baseline(asked.gates, asked.baseline, targets, metrics())
    plan = Plan(read_cases(asked.cases), asked.repeat, baseline, Limits(asked.load_timeout_s, 1, logs, VLM))
    found = await run_vlm(targets, plan, view)
    judgements = [] if gates is None else judge([each.findings() for each in found.outcomes], baseline, gates)
    is_sound = not any(each.problem or each.count(Verdict.FAILED) for each in found.outcomes)
    return vlm_report(found, judgements, gates), int(not is_sound) if gates is None else exit_status(judgements)
