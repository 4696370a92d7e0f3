"""An engine beside its library called directly, on recorded clips; for the engines' own benchmarks."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, read_audio_file
from voxmesh_stt.engine import Engine
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings
from voxmesh_testing.engines import hosting
from voxmesh_testing.speech import CHUNK_S, FINALIZE, RATE_HERTZ, Clip, Request, Response, audio, finals
from voxmesh_testing.streams import Exchange, exchange, serving

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
"""Where the Debian package pocketsphinx-testdata puts five clips of LibriVox."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way of recognition gave for all clips."""

    texts: Sequence[str]
    cpu_s: float
    """Of this process."""
    waits_s: Sequence[float]
    """From the last audio to the final result, one a clip."""


def read_clips(folder: Path) -> list[Clip]:
    """All clips of the folder that its `transcription`, in the form of CMU Sphinx, names."""
    lines = (folder / "transcription").read_text().splitlines()
    matches = [re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip()) for line in lines]
    return [Clip(read_audio_file(folder / f"{match[2]}.wav")[0], match[1]) for match in matches if match]


def plain(text: str) -> str:
    """Words without case and punctuation."""
    spelt = re.sub(r"\bmr\b", "mister", text.lower().replace("-", " "))
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", spelt).split())


async def served(engine: Engine, clips: Sequence[Clip], *, pause_s: float = 0.0, **config: object) -> Outcome:
    """The service, fed as by a microphone; `pause_s` of silence come before `finalize`.

    Args:
        engine: loaded by the service, and freed at its end.
        clips: one stream each.
        pause_s: silence in seconds.
        config: fields of RecognitionConfig beside the audio format.
    """
    settings = SttSettings()
    fields: dict[str, object] = {"audio_format": AudioFormat().to_proto(), **config}
    request = Request(config=stt_pb2.RecognitionConfig(**fields))  # pyright: ignore[reportArgumentType] # by the caller
    texts: list[str] = []
    waits_s: list[float] = []
    async with serving(SttService(hosting("stt", engine, settings), settings), settings) as (channel, _):
        method = stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize
        cpu_s = time.process_time()
        for clip in clips:
            async with exchange(method, request) as stream:
                text, wait_s = await _recognized(stream, clip, pause_s)
            texts.append(text)
            waits_s.append(wait_s)
        cpu_s = time.process_time() - cpu_s
    return Outcome(texts, cpu_s, waits_s)


def heading(clips: Sequence[Clip], width: int) -> str:
    """The table's head; names take `width` characters."""
    told = f"{len(clips)} clips, {_seconds(clips):.1f} s"
    return f"{told}\n{'':{width}}{'WER %':>7}{'CPU-s per s':>13}{'final after s, median':>23}{'worst':>7}"


def row(name: str, outcome: Outcome, clips: Sequence[Clip], word_error_rate: float, width: int) -> str:
    """One way's line of the table; `word_error_rate` is a share."""
    median, worst = statistics.median(outcome.waits_s), max(outcome.waits_s)
    cpu_s = outcome.cpu_s / _seconds(clips)
    return f"{name:{width}}{100 * word_error_rate:7.2f}{cpu_s:13.3f}{median:23.3f}{worst:7.3f}"


def _seconds(clips: Sequence[Clip]) -> float:
    return sum(len(clip.samples) for clip in clips) / RATE_HERTZ


async def _recognized(stream: Exchange[Request, Response], clip: Clip, pause_s: float) -> tuple[str, float]:
    reading = asyncio.create_task(stream.until("finalized"))
    silence = np.zeros(round(pause_s * RATE_HERTZ), np.float32)
    began = time.monotonic()
    for index, request in enumerate(audio(np.concatenate([clip.samples, silence]))):
        await asyncio.sleep(began + index * CHUNK_S - time.monotonic())
        await stream.send(request)
    ended = time.monotonic()
    await stream.send(FINALIZE)
    await reading
    wait_s = time.monotonic() - ended
    return " ".join(result.transcript for result in finals(stream.seen)), wait_s
