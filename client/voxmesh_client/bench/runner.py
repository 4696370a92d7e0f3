"""The order of a run of `voxmesh bench stt`: each target in all its passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from voxmesh_client.bench.corpus import Corpus
from voxmesh_client.bench.each_target import View, measure_target
from voxmesh_client.bench.listening import Heard, Manner
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.measuring import measure, rounds, warm_up
from voxmesh_client.bench.results import Run, TargetResult
from voxmesh_client.bench.server import Limits, Server
from voxmesh_client.bench.soak import soak
from voxmesh_client.bench.targets import Target


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with every target."""

    streams: Sequence[int]
    manners: Sequence[Manner]
    soak_minutes: float | None
    baseline: str
    limits: Limits


async def run_stt(targets: Sequence[Target], corpus: Corpus, plan: Plan, view: View) -> Run:
    """Measure all targets; one that does not serve is told in the results.

    Raises:
        BenchUsage: the interpreter of a target is missing.
    """
    load_before = load()
    results = [await _measured(target, corpus, plan, view) for target in targets]
    return Run(Machine.now(load_before), corpus, plan.baseline, results)


async def _measured(target: Target, corpus: Corpus, plan: Plan, view: View) -> TargetResult:
    result = TargetResult(target.name)

    async def work(server: Server) -> None:
        await _Steps(result, server, corpus, view).run(plan)

    await measure_target(result, target, plan.limits, view, work)
    return result


@dataclass(frozen=True, slots=True)
class _Steps:
    """What is done with one server."""

    result: TargetResult
    server: Server
    corpus: Corpus
    view: View

    async def run(self, plan: Plan) -> None:
        with self.view.step(f"{self.result.name}: warm up", 0):
            await warm_up(self.server, self.corpus, max(plan.streams))
        for streams in plan.streams:
            for manner in plan.manners:
                await self._hear(streams, manner)
        if plan.soak_minutes is not None:
            await self._soak(plan.soak_minutes)

    async def _hear(self, streams: int, manner: Manner) -> None:
        # Interim results would cost time that the real-time factor is not about.
        chosen = replace(manner, interim_results=manner.real_time)
        seconds = self.corpus.seconds * rounds(len(self.corpus.clips), streams)
        pace = "in real time" if manner.real_time else "as fast as it goes"
        done_s = 0.0
        with self.view.step(f"{self.result.name}: streams at once: {streams}, {pace}", seconds) as show:

            def on_done(heard: Heard) -> None:
                nonlocal done_s
                done_s += heard.clip.duration_s
                show(done_s)

            self.result.passes.append(await measure(self.server, self.corpus, streams, chosen, on_done))

    async def _soak(self, minutes: float) -> None:
        with self.view.step(f"{self.result.name}: one stream of {minutes:g} min", minutes * 60) as show:
            self.result.soak = await soak(self.server, self.corpus, minutes, show)
