"""The order of a run of `voxmesh bench vlm`: every case once or several times, engine after engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voxmesh_client.bench.each_target import View, counter, measure_target
from voxmesh_client.bench.findings import Figures, Findings, TargetOutcome, waits
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.metering import Cost, metered
from voxmesh_client.bench.pictures.asking import Answer, Verdict, ask
from voxmesh_client.bench.pictures.case_file import CaseSet
from voxmesh_client.bench.server import Limits, Server
from voxmesh_client.bench.targets import Target


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with every engine."""

    cases: CaseSet
    repeat: int
    baseline: str
    limits: Limits


@dataclass(slots=True)
class VlmOutcome(TargetOutcome):
    """What was found of one engine."""

    answers: list[Answer] = field(default_factory=list[Answer])
    """Case by case, each as often as it was asked."""
    cost: Cost = field(default_factory=Cost)

    @property
    def asked(self) -> list[Answer]:
        """Answers that count."""
        return [each for each in self.answers if each.verdict is not Verdict.NOT_ASKED]

    def count(self, verdict: Verdict) -> int:
        """Answers that came out so."""
        return sum(each.verdict is verdict for each in self.answers)

    @property
    def figures(self) -> Figures:
        """All of them."""
        asked = self.asked
        scores = [each.score for each in asked if each.score is not None]
        memory = self.cost.memory
        return {
            **self.load_figures,
            "asked": len(asked),
            "right_share": self.count(Verdict.RIGHT) / len(asked) if asked else None,
            "score": sum(scores) / len(scores) if scores else None,
            "refused": self.count(Verdict.REFUSED),
            "failures": self.count(Verdict.FAILED),
            "truncated": sum(each.is_cut for each in asked),
            **waits("first_output", [each.first_output_s for each in asked if each.first_output_s is not None]),
            **waits("taken", [each.taken_s for each in asked if each.taken_s is not None]),
            **waits("queued", [each.queued_s for each in asked if each.taken_s is not None]),
            "rss_mib": memory.rss_mib,
            "pss_mib": memory.pss_mib,
            "anonymous_mib": memory.anonymous_mib,
            "gpu_mib": memory.gpu_mib,
            "model_gb": memory.model_gb(self.model.device),
        }

    def findings(self) -> Findings:
        """Its figures, for gates."""
        return Findings(self.name, self.figures, ())


@dataclass(frozen=True, slots=True)
class Run:
    """What was found of all engines."""

    machine: Machine
    plan: Plan
    outcomes: Sequence[VlmOutcome]


def metrics() -> list[str]:
    """Names of all figures."""
    return list(VlmOutcome("").figures)


async def run_vlm(targets: Sequence[Target], plan: Plan, view: View) -> Run:
    """Ask all engines; one that does not serve is told in its outcome.

    Raises:
        BenchUsage: the interpreter of a target is missing.
    """
    load_before = load()
    outcomes = [await _asked(target, plan, view) for target in targets]
    return Run(Machine.now(load_before), plan, outcomes)


async def _asked(target: Target, plan: Plan, view: View) -> VlmOutcome:
    outcome = VlmOutcome(target.name)

    async def work(server: Server) -> None:
        service, cases = server.mesh.vision_language, list(zip(plan.cases.cases, plan.cases.images, strict=True))
        with view.step(f"{target.name}: pictures", len(cases) * plan.repeat, "questions") as show:
            on_answer = counter(show)
            async with metered(server) as outcome.cost:
                for case, image in cases:
                    for _ in range(plan.repeat):
                        outcome.answers.append(await ask(service, case, image, server.info))
                        on_answer()

    await measure_target(outcome, target, plan.limits, view, work)
    return outcome
