"""What `voxmesh bench llm` does once its options are read."""

from __future__ import annotations

from pathlib import Path

from voxmesh_client.bench.asked import LlmAsked
from voxmesh_client.bench.each_target import View
from voxmesh_client.bench.minds.evaluation import Manner
from voxmesh_client.bench.minds.report import llm_report
from voxmesh_client.bench.minds.runner import Measurable, Plan, metrics, run_llm
from voxmesh_client.bench.minds.task_file import read_tasks
from voxmesh_client.bench.minds.upstreams import DEFAULT, OwnModel, read_upstreams
from voxmesh_client.bench.plan import counts, gates_and_baseline
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.report import Report
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.targets import Running, read_targets
from voxmesh_client.bench.verdicts import exit_status, judge
from voxmesh_client.slots import LLM

_MAX_STREAMS = 256
THINKING = {"off": (False,), "on": (True,), "both": (False, True), "none": ()}
"""Ways in which the tasks are asked, by what `--thinking` says."""


async def bench_llm(asked: LlmAsked, logs: Path, view: View) -> tuple[Report, int]:
    """Check everything that was asked and measure; the report and the exit status.

    Raises:
        BenchUsage: something was asked that cannot be.
    """
    targets = measurable(asked)
    streams = counts("--streams", asked.streams, _MAX_STREAMS)
    names = [Running(target.name, "") for target in targets]
    gates, baseline = gates_and_baseline(asked.gates, asked.baseline, names, metrics())
    plan = Plan(
        tasks=read_tasks(asked.tasks),
        streams=streams,
        rounds=asked.rounds,
        max_tokens=asked.max_tokens,
        manners=[Manner(thinking, asked.thoughts, asked.timeout_s) for thinking in THINKING[asked.thinking]],
        baseline=baseline,
        limits=Limits(asked.load_timeout_s, max(streams), logs, LLM),
    )
    found = await run_llm(targets, plan, view)
    judgements = [] if gates is None else judge([each.findings() for each in found.outcomes], baseline, gates)
    is_right = not any(each.problem or any(one.failures for one in each.passes) for each in found.outcomes)
    return llm_report(found, judgements, gates), int(not is_right) if gates is None else exit_status(judgements)


def measurable(asked: LlmAsked) -> list[Measurable]:
    """What is measured, in order; the default model where nothing is named.

    Raises:
        BenchUsage: one of them is wrong, or two have the same name.
    """
    running = read_targets(asked.targets, (), (), LLM) if asked.targets else []
    found: list[Measurable] = [each for each in running if isinstance(each, Running)]
    found += read_upstreams(asked.upstreams, asked.models)
    found = found or [OwnModel(DEFAULT)]
    names = [each.name for each in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BenchUsage(f"two targets are named {twice}")
    return found
