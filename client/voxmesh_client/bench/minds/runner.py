"""The order of a run of `voxmesh bench llm`: each upstream's speed, then its tasks without and with thinking."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from voxmesh_client.bench.each_target import View, counter, measure_target
from voxmesh_client.bench.findings import Figures, Findings, Measured, TargetOutcome
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.minds.evaluation import Manner, Summary, TaskAnswer, evaluate
from voxmesh_client.bench.minds.passes import Load, Pass, figures, measure
from voxmesh_client.bench.minds.task_file import TaskSet
from voxmesh_client.bench.minds.upstreams import Address, AtUrl, OwnModel, running
from voxmesh_client.bench.server import Limits, NotLoaded, Server
from voxmesh_client.bench.targets import Running, Startable
from voxmesh_client.errors import MeshError

Measurable: TypeAlias = Running | AtUrl | OwnModel
"""A proxy that runs, or an upstream in front of which one is started."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with every upstream."""

    tasks: TaskSet
    streams: Sequence[int]
    rounds: int
    max_tokens: int
    manners: Sequence[Manner]
    """How the tasks are asked, one after another; none asks none."""
    baseline: str
    limits: Limits


@dataclass(slots=True)
class LlmOutcome(TargetOutcome):
    """What was found of one upstream."""

    passes: list[Pass] = field(default_factory=list[Pass])
    answers: list[TaskAnswer] = field(default_factory=list[TaskAnswer])

    def summary(self, *, thinking: bool, task: str = "") -> Summary:
        """Its answers to one task, or to all."""
        chosen = [each for each in self.answers if each.thinking is thinking and task in {"", each.task.task}]
        return Summary.of(chosen)

    @property
    def figures(self) -> Figures:
        """Those that are not of one pass."""
        off, on = self.summary(thinking=False), self.summary(thinking=True)
        return {
            **self.load_figures,
            "score": off.score,
            "thinking_score": on.score,
            "task_s": off.taken_s,
            "thinking_task_s": on.taken_s,
            "empty": off.empty + on.empty,
            "tasks_failed": off.failed + on.failed,
        }

    def findings(self) -> Findings:
        """Its figures, for gates."""
        return Findings(
            self.name, self.figures, [Measured({"streams": each.streams}, figures(each)) for each in self.passes]
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What was found of all upstreams."""

    machine: Machine
    plan: Plan
    outcomes: Sequence[LlmOutcome]


def metrics() -> list[str]:
    """Names of all figures."""
    return list({**figures(Pass(1)), **LlmOutcome("").figures})


async def run_llm(targets: Sequence[Measurable], plan: Plan, view: View) -> Run:
    """Measure all upstreams; one that does not serve is told in its outcome.

    Raises:
        BenchUsage: what has to be started is not installed.
    """
    load_before = load()
    outcomes = [await _measured(target, plan, view) for target in targets]
    return Run(Machine.now(load_before), plan, outcomes)


async def _measured(target: Measurable, plan: Plan, view: View) -> LlmOutcome:
    outcome = LlmOutcome(target.name)
    async with AsyncExitStack() as stack:
        address: Address | None = None
        if not isinstance(target, Running):
            try:
                address = await stack.enter_async_context(running(target, plan.limits))
            except NotLoaded as problem:
                outcome.problem = str(problem)
                return outcome

        async def work(server: Server) -> None:
            try:
                await _Steps(outcome, server, address, plan, view).run()
            except MeshError as error:
                raise NotLoaded(str(error)) from None

        await measure_target(outcome, _proxy(target, address), plan.limits, view, work)
    return outcome


def _proxy(target: Measurable, address: Address | None) -> Running | Startable:
    """The proxy of an upstream: one that runs, or one that is started."""
    if isinstance(target, Running) or address is None:
        return Running(target.name, target.target if isinstance(target, Running) else "")
    key = address.key.get_secret_value() if address.key is not None else ""
    variables = {
        "VOXMESH_UPSTREAM_URL": address.url,
        "VOXMESH_UPSTREAM_API_KEY": key,
        "VOXMESH_UPSTREAM_SHAPE": address.shape,
    }
    return Startable(target.name, "", None, Path(sys.executable), variables)


@dataclass(frozen=True, slots=True)
class _Steps:
    """What is done with one upstream."""

    outcome: LlmOutcome
    server: Server
    address: Address | None
    plan: Plan
    view: View

    async def run(self) -> None:
        for streams in self.plan.streams:
            await self._speed(streams)
        for manner in self.plan.manners:
            await self._tasks(manner)

    async def _speed(self, streams: int) -> None:
        plan, title = self.plan, f"{self.outcome.name}: streams at once: {streams}"
        with self.view.step(title, plan.rounds, "rounds") as show:
            found = await measure(self.server, self.address, Load(streams, plan.rounds, plan.max_tokens), counter(show))
        self.outcome.passes.append(found)

    async def _tasks(self, manner: Manner) -> None:
        tasks, way = self.plan.tasks, "with" if manner.thinking else "without"
        with self.view.step(f"{self.outcome.name}: tasks {way} thinking", len(tasks.tasks), "questions") as show:
            self.outcome.answers += await evaluate(self.server.mesh.language_model, tasks, manner, counter(show))
