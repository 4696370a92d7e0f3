"""A set of texts through a voice over some streams at once: what came, how fast, at what cost."""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from voxmesh.tts.v1 import tts_pb2
from voxmesh_client.bench.findings import Figures, Findings, Measured, TargetOutcome, waits
from voxmesh_client.bench.measuring import rounds
from voxmesh_client.bench.metering import Cost, metered
from voxmesh_client.bench.server import Server
from voxmesh_client.bench.voices.soundness import Expected, Fault, Sound, faults_of
from voxmesh_client.bench.voices.speaking import Spoken, speak
from voxmesh_client.bench.voices.text_file import Line, TextSet
from voxmesh_client.bench.voices.understanding import Understood, understand, unheard_end
from voxmesh_client.bench.words import Score, total
from voxmesh_client.health import Health, check_health

_GONE = "not tried: the service is gone"


@dataclass(slots=True)
class Pass:
    """One time through the texts, or several for many streams."""

    streams: int
    spoken: Sequence[Spoken]
    cost: Cost
    understood: Sequence[Understood] = ()
    """One for each of `spoken`; empty when nobody listened."""

    @property
    def sound(self) -> list[Spoken]:
        """Texts that did not fail."""
        return [each for each in self.spoken if not each.failure]

    @property
    def audio_s(self) -> float:
        """Length of their audio."""
        return sum(each.audio_s for each in self.sound)

    @property
    def score(self) -> Score:
        """Errors over everything; a text that failed counts as one of which nothing was heard."""
        return total([each.score for each in self.understood])

    def count(self, *faults: Fault) -> int:
        """Texts whose audio has one of these faults."""
        return sum(any(finding.fault in faults for finding in each.findings) for each in self.spoken)


@dataclass(slots=True)
class VoiceOutcome(TargetOutcome):
    """What was found of one voice."""

    voice: str = ""
    passes: list[Pass] = field(default_factory=list[Pass])

    @property
    def is_right(self) -> bool:
        """True when it loads, and nothing failed or is wrong with its audio."""
        wrong = any(each.count(*Fault) or len(each.sound) < len(each.spoken) for each in self.passes)
        return not self.problem and not wrong

    def findings(self) -> Findings:
        """Its figures, for gates."""
        device = self.model.device
        passes = [Measured({"streams": each.streams}, figures(each, device)) for each in self.passes]
        return Findings(self.name, self.load_figures, passes)


def figures(each: Pass, device: str) -> Figures:
    """The figures of a pass; `device` is where the model is."""
    audio_s, cost = each.audio_s, each.cost
    differences = [value for one in each.understood for value in one.start_differences_s]
    return {
        "wer": each.score.words.rate,
        "cer": each.score.characters.rate,
        "failures": len(each.spoken) - len(each.sound),
        "faults": each.count(*Fault),
        **{fault.value.replace(" ", "_"): each.count(fault) for fault in Fault},
        "real_time_factor": sum(one.taken_s for one in each.sound) / audio_s if audio_s else None,
        "throughput": audio_s / cost.taken_s if audio_s else None,
        "cpu_s_per_s": cost.cpu_s / audio_s if cost.cpu_s is not None and audio_s else None,
        **waits("first_audio", [one.first_audio_s for one in each.sound if one.first_audio_s is not None]),
        **waits("first_sound", [one.first_sound_s for one in each.sound if one.first_sound_s is not None]),
        **waits("queued", [one.queued_s for one in each.sound]),
        **waits("stalled", [one.stalled_s for one in each.sound]),
        "word_start_median_s": statistics.median(differences) if differences else None,
        "word_start_deviation_s": statistics.median(map(abs, differences)) if differences else None,
        "rss_mib": cost.memory.rss_mib,
        "pss_mib": cost.memory.pss_mib,
        "anonymous_mib": cost.memory.anonymous_mib,
        "gpu_mib": cost.memory.gpu_mib,
        "model_gb": cost.memory.model_gb(device),
    }


def metrics() -> list[str]:
    """Names of all figures."""
    return list({**figures(Pass(1, (), Cost()), ""), **VoiceOutcome("").load_figures})


async def speak_all(
    server: Server, texts: TextSet, streams: int, config: tts_pb2.SynthesisConfig, on_done: Callable[[], None]
) -> Pass:
    """Have the texts spoken over `streams` streams at once, a new stream for each text.

    Args:
        server: the voice.
        texts: what it speaks.
        streams: how many at once.
        config: how.
        on_done: called after each text.
    """
    waiting = deque([*texts.lines] * rounds(len(texts.lines), streams))
    spoken: list[Spoken] = []
    async with metered(server) as cost, asyncio.TaskGroup() as tasks:
        for _ in range(streams):
            tasks.create_task(_speak_waiting(server, waiting, config, spoken, on_done))
    least, most = texts.seconds_per_letter
    rate = config.speaking_rate or 1.0
    for each in spoken:
        if not each.failure:
            expected = Expected(each.line.letters, (least / rate, most / rate), each.told_s)
            each.findings = faults_of(Sound.of(each.samples, each.rate_hertz), expected)
    return Pass(streams, spoken, cost)


async def hear_all(recognizer: Server, done: Pass, language: str, on_done: Callable[[], None]) -> None:
    """Let a recogniser hear a pass, one text after another, and note what it misses at the end of one."""
    understood: list[Understood] = []
    places_words = recognizer.info.word_time_offsets
    for each in done.spoken:
        understood.append(await understand(recognizer, each, language, places_words=places_words))
        if not each.failure and not understood[-1].failure:
            each.findings += unheard_end(each.line, understood[-1].heard, language)
        on_done()
    done.understood = understood


async def _speak_waiting(
    server: Server,
    waiting: deque[Line],
    config: tts_pb2.SynthesisConfig,
    spoken: list[Spoken],
    on_done: Callable[[], None],
) -> None:
    """Speak what waits, one after another; once the service is gone the rest fails without being tried."""
    while waiting:
        spoken.append(await speak(server.mesh.text_to_speech, waiting.popleft(), config))
        on_done()
        if spoken[-1].failure and await check_health(server.address) is Health.DOWN:
            spoken += [Spoken(line, failure=_GONE) for line in waiting]
            waiting.clear()
