"""The order of a run of `voxmesh bench tts`: the recogniser first, then each voice in all its passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_client.bench.each_target import View, counter, measure_target
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.measuring import rounds
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.server import Limits, NotLoaded, Server, serving
from voxmesh_client.bench.targets import Target
from voxmesh_client.bench.voices.keeping import keep
from voxmesh_client.bench.voices.passes import VoiceOutcome, hear_all, speak_all
from voxmesh_client.bench.voices.speaking import speak
from voxmesh_client.bench.voices.text_file import TextSet
from voxmesh_client.slots import STT

_SETTLE_S = 1.0
_UNIT = "texts"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with every voice."""

    texts: TextSet
    streams: Sequence[int]
    voices: Mapping[str, str]
    """Name of the voice by target; "" is for those that are not named."""
    rate: float | None
    recognizer: Target | None
    """Who judges; None when nobody does."""
    keep: Path | None
    """Folder of the audio of the first pass of each target."""
    baseline: str
    limits: Limits

    def voice(self, target: Target) -> str:
        """The voice of a target; empty is its default."""
        return self.voices.get(target.name, self.voices.get("", ""))


@dataclass(frozen=True, slots=True)
class Run:
    """What was found of all voices."""

    machine: Machine
    texts: TextSet
    recognizer: common_pb2.ModelInfo | None
    """Who judged; None when nobody did."""
    baseline: str
    outcomes: Sequence[VoiceOutcome]


async def run_tts(targets: Sequence[Target], plan: Plan, view: View) -> Run:
    """Measure all voices; one that does not serve is told in its outcome.

    Raises:
        BenchUsage: the interpreter of a target is missing, or the recogniser does not serve.
    """
    load_before = load()
    async with _listener(plan, view) as recognizer:
        outcomes = [await _measured(target, plan, recognizer, view) for target in targets]
        model = None if recognizer is None else recognizer.model
        return Run(Machine.now(load_before), plan.texts, model, plan.baseline, outcomes)


@asynccontextmanager
async def _listener(plan: Plan, view: View) -> AsyncGenerator[Server | None]:
    """The recogniser for the time of a block; it is idle while a voice speaks."""
    if plan.recognizer is None:
        yield None
        return
    limits = replace(plan.limits, streams=1, slot=STT)
    async with AsyncExitStack() as stack:
        try:
            with view.step(f"recogniser {plan.recognizer.name}: load", 0):
                server = await stack.enter_async_context(serving(plan.recognizer, limits))
        except NotLoaded as problem:
            raise BenchUsage(f"--recognizer {plan.recognizer.name}: {problem}; or give --recognizer none") from None
        yield server


async def _measured(target: Target, plan: Plan, recognizer: Server | None, view: View) -> VoiceOutcome:
    outcome = VoiceOutcome(target.name, voice=plan.voice(target))

    async def work(server: Server) -> None:
        outcome.voice = outcome.voice or next((voice.name for voice in server.info.voices), "")
        await _all_passes(outcome, server, recognizer, plan, view)

    await measure_target(outcome, target, plan.limits, view, work)
    return outcome


async def _all_passes(outcome: VoiceOutcome, server: Server, recognizer: Server | None, plan: Plan, view: View) -> None:
    texts = plan.texts
    config = tts_pb2.SynthesisConfig(
        voice=outcome.voice,
        language_code=texts.language,
        speaking_rate=plan.rate,
        word_time_offsets=server.info.word_time_offsets,
    )
    with view.step(f"{outcome.name}: warm up", 0):
        service, first = server.mesh.text_to_speech, texts.lines[0]
        await asyncio.gather(*(speak(service, first, config) for _ in range(max(plan.streams))))
        await asyncio.sleep(_SETTLE_S)
    for streams in plan.streams:
        count = len(texts.lines) * rounds(len(texts.lines), streams)
        with view.step(f"{outcome.name}: streams at once: {streams}", count, _UNIT) as show:
            done = await speak_all(server, texts, streams, config, counter(show))
        outcome.passes.append(done)
        if plan.keep is not None and len(outcome.passes) == 1:
            await asyncio.to_thread(keep, plan.keep, outcome.name, done.spoken)
        if recognizer is not None:
            with view.step(f"{outcome.name}: heard by {recognizer.model.engine}", count, _UNIT) as show:
                await hear_all(recognizer, done, texts.language, counter(show))
