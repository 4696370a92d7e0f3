"""Clips heard in several contexts: where their term is heard, and whether other speech stays as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voxmesh.common.v1 import common_pb2
from voxmesh_client.bench.case_file import Cases
from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.corpus import read_samples
from voxmesh_client.bench.each_target import View
from voxmesh_client.bench.listening import Heard, Manner, listen
from voxmesh_client.bench.server import Limits, NotLoaded, Server, serving
from voxmesh_client.bench.targets import Target
from voxmesh_client.bench.words import normalizer

Outcome = common_pb2.OptionOutcome.Outcome


@dataclass(frozen=True, slots=True)
class CaseClips:
    """The cases of a file with their recordings."""

    cases: Cases
    clips: Sequence[Clip]
    """Of `cases.clips`, in order."""
    controls: Sequence[Clip]
    """Of `cases.controls`, in order."""


@dataclass(slots=True)
class Hearing:
    """What a target heard in one context."""

    clips: list[Heard] = field(default_factory=list[Heard])
    controls: list[Heard] = field(default_factory=list[Heard])

    @property
    def failures(self) -> list[Heard]:
        """Recordings that failed."""
        return [each for each in (*self.clips, *self.controls) if each.failure]

    @property
    def outcomes(self) -> dict[str, str]:
        """What `ready` told of each option about biasing: its short name and the outcome, each once."""
        ready = next((each.outcomes for each in self.clips if each.outcomes), ())
        told = [option for option in ready if ".biasing." in option.field]
        return {
            each.field.partition(".biasing.")[2]: Outcome.Name(each.outcome).removeprefix("OUTCOME_") for each in told
        }


@dataclass(slots=True)
class BiasingResult:
    """What a target heard in all contexts."""

    name: str
    model: common_pb2.ModelInfo = field(default_factory=common_pb2.ModelInfo)
    problem: str = ""
    """Why it does not serve; empty when it does."""
    contexts: dict[str, Hearing] = field(default_factory=dict[str, Hearing])

    @property
    def failures(self) -> list[Heard]:
        """Recordings that failed, in all contexts."""
        return [each for hearing in self.contexts.values() for each in hearing.failures]


async def run_biasing(
    targets: Sequence[Target], clips: CaseClips, manner: Manner, limits: Limits, view: View
) -> list[BiasingResult]:
    """Hear every recording in every context, target after target; one that does not serve is told in its result."""
    results: list[BiasingResult] = []
    for target in targets:
        results.append(BiasingResult(target.name))
        try:
            async with serving(target, limits) as server:
                results[-1].model = server.model
                await _hear_all(results[-1], server, clips, manner, view)
        except NotLoaded as problem:
            results[-1].problem = str(problem)
    return results


async def _hear_all(result: BiasingResult, server: Server, clips: CaseClips, manner: Manner, view: View) -> None:
    seconds = sum(clip.duration_s for clip in (*clips.clips, *clips.controls))
    for name, context in clips.cases.contexts.items():
        hearing = result.contexts[name] = Hearing()
        done_s = 0.0
        with view.step(f"{result.name}: context {name}", seconds) as show:
            for clip in (*clips.clips, *clips.controls):
                heard = await listen(server.mesh.speech_to_text, clip, read_samples(clip), manner, context.biasing())
                (hearing.clips if len(hearing.clips) < len(clips.clips) else hearing.controls).append(heard)
                done_s += clip.duration_s
                show(done_s)


def has_term(term: str, heard: str, language: str) -> bool:
    """True when the words of the term stand together in the text; case and punctuation do not count."""
    normal = normalizer(language)
    return f" {normal(term)} " in f" {normal(heard)} "


def terms_heard(hearing: Hearing, cases: Cases) -> list[bool]:
    """For each clip, whether its term was heard; never in one that failed."""
    return [
        has_term(case.term, each.text, each.clip.language)
        for case, each in zip(cases.clips, hearing.clips, strict=True)
    ]


def controls_changed(hearing: Hearing, plain: Hearing) -> list[bool]:
    """For each control, whether other words were heard than in the context that tells nothing."""
    return [
        bool(each.failure or before.failure) or _words(each) != _words(before)
        for each, before in zip(hearing.controls, plain.controls, strict=True)
    ]


def shortfalls(results: Sequence[BiasingResult], cases: Cases, expected: Mapping[str, float]) -> list[str]:
    """A sentence for everything that is not as expected.

    Args:
        results: of all targets.
        cases: what they heard.
        expected: least share of terms heard, by context; in each of these no control may change.
    """
    found: list[str] = []
    for result in results:
        if result.problem:
            found.append(f"{result.name}: {result.problem}")
        found += [f"{result.name}: {each.clip.name} failed: {each.failure}" for each in result.failures]
        for name, share in expected.items() if result.contexts else ():
            hearing = result.contexts[name]
            heard = terms_heard(hearing, cases)
            if sum(heard) < share * len(heard):
                found.append(f"{result.name}, {name}: {sum(heard)} of {len(heard)} terms heard, expected {share:.0%}")
            if changed := sum(controls_changed(hearing, result.contexts[cases.plain])):
                found.append(f"{result.name}, {name}: {changed} of {len(hearing.controls)} controls changed")
    return found


def _words(heard: Heard) -> str:
    return normalizer(heard.clip.language)(heard.text)
