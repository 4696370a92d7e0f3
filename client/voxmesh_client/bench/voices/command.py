"""What `voxmesh bench tts` does once its options are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxmesh_client.bench.asked import TtsAsked
from voxmesh_client.bench.each_target import View
from voxmesh_client.bench.plan import counts, gates_and_baseline
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.report import Report
from voxmesh_client.bench.server import Limits
from voxmesh_client.bench.targets import Running, Startable, Target, interpreters, read_targets, startable
from voxmesh_client.bench.verdicts import exit_status, judge
from voxmesh_client.bench.voices.passes import metrics
from voxmesh_client.bench.voices.report import tts_report
from voxmesh_client.bench.voices.runner import Plan, run_tts
from voxmesh_client.bench.voices.text_file import read_texts
from voxmesh_client.health import Health, check_health
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import STT, TTS

_MAX_STREAMS = 1000
_NOBODY = "none"
_USUAL = "moonshine"


async def bench_tts(asked: TtsAsked, logs: Path, view: View) -> tuple[Report, int]:
    """Check everything that was asked and measure; the report and the exit status.

    Raises:
        BenchUsage: something was asked that cannot be.
    """
    recognizer = await _recognizer(asked)
    targets = read_targets(asked.targets, asked.engines, _pythons_of_voices(asked, recognizer), TTS)
    gates, baseline = gates_and_baseline(asked.gates, asked.baseline, targets, metrics())
    streams = counts("--streams", asked.streams, _MAX_STREAMS)
    limits = Limits(asked.load_timeout_s, max(streams), logs, TTS)
    voices = _voices(asked.voices, targets)
    texts = read_texts(asked.texts, asked.limit)
    plan = Plan(texts, streams, voices, asked.rate, recognizer, asked.keep, baseline, limits)
    found = await run_tts(targets, plan, view)
    judgements = [] if gates is None else judge([each.findings() for each in found.outcomes], baseline, gates)
    is_right = all(each.is_right for each in found.outcomes)
    return tts_report(found, judgements, gates), int(not is_right) if gates is None else exit_status(judgements)


async def _recognizer(asked: TtsAsked) -> Target | None:
    """Who judges: the one asked for, else the mesh's service if it runs, else the usual engine."""
    name = asked.recognizer
    if name == _NOBODY:
        return None
    if not name:
        address = MeshSettings().target(STT)
        if await check_health(address) is Health.SERVING:
            return Running("the mesh's", address)
    host, _, port = name.partition(":")
    if host and port.isdecimal():
        return Running(name, name)
    return startable(name or _USUAL, interpreters(asked.pythons), STT, "--recognizer")


def _pythons_of_voices(asked: TtsAsked, recognizer: Target | None) -> list[str]:
    """Every `--python` but the one that is for the recogniser alone."""
    judge_only = recognizer.engine if isinstance(recognizer, Startable) else ""
    engines = {each.partition("=")[0] for each in asked.engines}
    return [each for each in asked.pythons if (name := each.partition("=")[0]) in engines or name != judge_only]


def _voices(texts: Sequence[str], targets: Sequence[Target]) -> dict[str, str]:
    """The voice by target of `--voice [TARGET=]VOICE`; "" stands for targets that are not named."""
    names = [target.name for target in targets]
    voices: dict[str, str] = {}
    for text in texts:
        target, _, voice = text.rpartition("=")
        if target and target not in names:
            raise BenchUsage(f"--voice {text}: {target!r} is none of the targets: {', '.join(names)}")
        voices[target] = voice
    return voices
