"""Benchmark `wer`: word error rate through the mesh beside the engine and its library called directly."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import jiwer
import numpy as np
from moonshine_voice import ModelArch
from moonshine_voice.transcriber import Transcriber

from benchmarks.mesh import LocalMesh
from benchmarks.result import Result, Table
from benchmarks.wer_clips import Clip, normal
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client import Mesh
from voxmesh_client.sound import file_chunks, pcm
from voxmesh_runtime.audio import AudioFile, Samples, read_audio_file
from voxmesh_runtime.batcher import Batcher
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.thread import ModelThread
from voxmesh_stt.engine import Engine, RecognitionOptions, Step, Transcript
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_moonshine.model import find_model

_CHUNK_S = 0.1
_RATE_HERTZ = 16_000

Recognize = Callable[[Path], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way made of all clips."""

    texts: Sequence[str]
    seconds: float
    """Of waiting, for all clips one after another."""


async def measure_wer(mesh: LocalMesh, clips: Sequence[Clip]) -> Result:
    """Recognise every clip each way."""
    direct = DirectEngine()
    library = Transcriber(find_model(None).path, ModelArch.TINY)
    await direct.load()
    ways: dict[str, Recognize] = {
        "mesh, as `voxmesh transcribe`": lambda path: _through_mesh(mesh.client, path),
        "the same engine in one process": direct.recognize,
        "moonshine library, whole clip": lambda path: _by_library(library, path, silence_s=0.0),
        "moonshine library, 0.5 s of silence after": lambda path: _by_library(library, path, silence_s=0.5),
    }
    try:
        outcomes = {name: await _recognized(clips, recognize) for name, recognize in ways.items()}
    finally:
        await direct.close()
        library.close()
    return _result(clips, outcomes)


class DirectEngine:
    """The service's engine on its thread, without the service."""

    def __init__(self) -> None:
        settings = SttSettings()
        context = EngineContext.from_settings(settings)
        self._engine = cast("Engine", load_engine("stt", settings.engine)(context))
        self._thread = ModelThread("stt")
        self._batcher = Batcher[Step, Sequence[Transcript]](self._thread, self._engine.step)

    async def load(self) -> None:
        """Load and warm up the model."""
        await self._thread.call(self._engine.load)
        await self._thread.call(self._engine.warm_up)

    async def recognize(self, path: Path) -> str:
        """The final transcripts of a file, given in the pieces that the service gives."""
        samples = _samples(path)
        session = await self._thread.call(lambda: self._engine.open(RecognitionOptions()))
        size = round(self._engine.info.step_s * _RATE_HERTZ)
        texts: list[str] = []
        for begin in range(0, len(samples), size):
            is_final = begin + size >= len(samples)
            completed = await self._batcher.run(Step(session, samples[begin : begin + size], is_final))
            texts += [transcript.text for transcript in completed.result if transcript.is_final]
        await self._thread.call(session.close)
        return " ".join(texts)

    async def close(self) -> None:
        """Free the model."""
        await self._thread.call(self._engine.close)
        await self._thread.close()


async def _through_mesh(mesh: Mesh, path: Path) -> str:
    with AudioFile(path) as file:
        config = stt_pb2.RecognitionConfig(audio_format=pcm(file.sample_rate_hertz).to_proto())
        results = mesh.speech_to_text.transcribe(file_chunks(file, _CHUNK_S), config)
        return " ".join([result.transcript async for result in results if result.is_final])


async def _by_library(library: Any, path: Path, *, silence_s: float) -> str:  # the library has no types
    silence = np.zeros(round(silence_s * _RATE_HERTZ), np.float32)
    lines = library.transcribe_without_streaming(np.concatenate([_samples(path), silence]).tolist()).lines
    return " ".join(line.text for line in lines)


def _samples(path: Path) -> Samples:
    samples, rate_hertz = read_audio_file(path)
    if rate_hertz != _RATE_HERTZ:
        raise ValueError(f"{path}: {rate_hertz} Hz; the library called directly takes {_RATE_HERTZ} Hz alone")
    return samples


async def _recognized(clips: Sequence[Clip], recognize: Recognize) -> Outcome:
    await recognize(clips[0].path)
    began = time.monotonic()
    texts = [await recognize(clip.path) for clip in clips]
    return Outcome(texts, time.monotonic() - began)


def _result(clips: Sequence[Clip], outcomes: dict[str, Outcome]) -> Result:
    spoken_s = 0.0
    for clip in clips:
        with AudioFile(clip.path) as file:
            spoken_s += file.duration_s
    said = [normal(clip.text) for clip in clips]
    words = sum(len(text.split()) for text in said)
    rates = {name: jiwer.wer(said, list(map(normal, outcome.texts))) for name, outcome in outcomes.items()}
    rows = [
        (name, f"{100 * rates[name]:.2f}", f"{rates[name] * words:.0f}", f"{outcome.seconds / spoken_s:.3f}")
        for name, outcome in outcomes.items()
    ]
    table = Table(
        f"wer: {len(clips)} clips, {spoken_s:.1f} s of speech, {words} words",
        ("way", "WER %", "errors", "seconds a second"),
        rows,
        ["Case, punctuation and hyphens do not count, and Mr is mister."],
    )
    figures = {name: {"wer": rates[name], **asdict(outcome)} for name, outcome in outcomes.items()}
    return Result("wer", [table], {"words": words, "spoken_s": spoken_s, "ways": figures})
