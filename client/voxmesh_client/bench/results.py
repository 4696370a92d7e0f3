"""All that a run of `voxmesh bench stt` found, and its figures by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from voxmesh_client.bench.corpus import Corpus
from voxmesh_client.bench.findings import Figures, Findings, Measured, TargetOutcome, waits
from voxmesh_client.bench.listening import Heard
from voxmesh_client.bench.machine import Machine
from voxmesh_client.bench.measuring import Pass
from voxmesh_client.bench.soak import Soak


@dataclass(slots=True)
class TargetResult(TargetOutcome):
    """What was found of one target."""

    passes: list[Pass] = field(default_factory=list[Pass])
    soak: Soak | None = None

    @property
    def failures(self) -> int:
        """Clips that failed, in all passes, and a soak that broke off."""
        broken = self.soak is not None and bool(self.soak.failure)
        return sum(len(each.failures) for each in self.passes) + broken

    @property
    def is_sound(self) -> bool:
        """True when it loads, nothing failed, and every promise of stable text was kept."""
        return (
            not self.problem and not self.failures and not any(each.stability.promises_broken for each in self.passes)
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What was found of all targets."""

    machine: Machine
    corpus: Corpus
    baseline: str
    """Name of the target that the others are compared with."""
    results: Sequence[TargetResult]

    def result(self, name: str) -> TargetResult:
        """What was found of a target."""
        return next(each for each in self.results if each.name == name)


def figures(each: Pass, device: str) -> Figures:
    """The figures of a pass; `device` is where the target's model is."""
    delays, interims = each.final_delays_s(), each.first_interims_s()
    return {
        "wer": each.score.words.rate,
        "cer": each.score.characters.rate,
        "failures": len(each.failures),
        "real_time_factor": each.real_time_factor,
        "throughput": each.throughput,
        "cpu_s_per_s": each.cpu_ratio,
        **waits("final_delay", delays),
        **waits("first_interim", interims),
        "interim_changed_share": each.stability.changed_share,
        "promises_broken_share": each.stability.broken_share,
        "rss_mib": each.memory.rss_mib,
        "pss_mib": each.memory.pss_mib,
        "anonymous_mib": each.memory.anonymous_mib,
        "gpu_mib": each.memory.gpu_mib,
        "model_gb": each.memory.model_gb(device),
    }


def target_figures(result: TargetResult) -> Figures:
    """The figures of a target over everything that was done with it."""
    return {
        **result.load_figures,
        "failures": None if result.problem else result.failures,
        "soak_growth_mib_per_hour": None if result.soak is None else result.soak.growth_mib_per_hour,
    }


def metrics() -> list[str]:
    """Names of all figures."""
    return list({**figures(Pass.nothing(), ""), **target_figures(TargetResult(""))})


def findings_of(run: Run) -> list[Findings]:
    """The figures of all targets, for gates."""
    return [
        Findings(
            result.name,
            target_figures(result),
            [
                Measured({"streams": each.streams, "pace": each.pace}, figures(each, result.model.device))
                for each in result.passes
            ],
        )
        for result in run.results
    ]


def to_json(run: Run) -> dict[str, Any]:
    """Everything, for a program, but for the machine."""
    return {
        "corpus": {
            "path": str(run.corpus.path),
            "clips": len(run.corpus.clips),
            "seconds": run.corpus.seconds,
            "languages": run.corpus.languages,
            "without_text": run.corpus.without_text,
        },
        "baseline": run.baseline,
        "targets": [_target_json(result) for result in run.results],
    }


def _target_json(result: TargetResult) -> dict[str, Any]:
    return {
        **result.to_json(),
        **target_figures(result),
        "passes": [_pass_json(each, result.model.device) for each in result.passes],
        "soak": None if result.soak is None else _soak_json(result.soak),
    }


def _pass_json(each: Pass, device: str) -> dict[str, Any]:
    return {
        **asdict(each.manner),
        "streams": each.streams,
        "taken_s": each.taken_s,
        **figures(each, device),
        "words": asdict(each.score.words),
        "characters": asdict(each.score.characters),
        "stability": asdict(each.stability),
        "clips": [_heard_json(heard) for heard in each.heard],
    }


def _heard_json(heard: Heard) -> dict[str, Any]:
    return {
        "clip": heard.clip.name,
        "said": heard.clip.text,
        "heard": heard.text,
        "seconds": heard.clip.duration_s,
        "taken_s": heard.taken_s,
        "final_delay_s": heard.final_delay_s,
        "first_interim_s": heard.first_interim_s,
        "failure": heard.failure,
    }


def _soak_json(soak: Soak) -> dict[str, Any]:
    return {
        "audio_s": soak.audio_s,
        "taken_s": soak.taken_s,
        "wer": soak.score.words.rate,
        "growth_mib_per_hour": soak.growth_mib_per_hour,
        "verdict": soak.verdict,
        "failure": soak.failure,
        "looks": [asdict(look) for look in soak.looks],
    }
