"""Word error rate, CPU time and wait for the final: the service beside the library called directly.

    python services/stt/engines/moonshine/bench/word_error_rate.py [folder]

The folder holds wav files and a `transcription` in the form of CMU Sphinx; by default that of the
Debian package pocketsphinx-testdata.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
from moonshine_voice import ModelArch
from moonshine_voice.transcriber import Transcriber

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, Samples, read_audio_file
from voxmesh_runtime.engines import EngineContext
from voxmesh_runtime.testing import Exchange, exchange, serving
from voxmesh_stt.conformance_speech import CHUNK_S, FINALIZE, RATE_HERTZ, Request, Response, audio, finals
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_moonshine import create
from voxmesh_stt_moonshine.model import find_model

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")


@dataclass(frozen=True, slots=True)
class Clip:
    """Speech at 16 kHz and its words."""

    samples: Samples
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way of recognition gave for all clips."""

    texts: Sequence[str]
    cpu_s: float
    waits_s: Sequence[float]
    """From the last audio to the final result, one a clip."""


def main() -> None:
    """Measure and print a table."""
    clips = read_clips(Path(sys.argv[1]) if len(sys.argv) > 1 else LIBRIVOX)
    ways = {
        "library, whole clips": direct(clips, trailing_s=0.0),
        "library, 0.5 s of silence appended": direct(clips, trailing_s=0.5),
        "service, real time, finals alone": asyncio.run(served(clips, interim_results=False, pause_s=0.0)),
        "service, real time, interim results": asyncio.run(served(clips, interim_results=True, pause_s=0.0)),
        "the same, finalize after 0.3 s of silence": asyncio.run(served(clips, interim_results=True, pause_s=0.3)),
    }
    spoken_s = sum(len(clip.samples) for clip in clips) / RATE_HERTZ
    print(f"{len(clips)} clips, {spoken_s:.1f} s")
    print(f"{'':44}{'WER %':>7}{'CPU-s per s':>13}{'final after s, median':>23}{'worst':>7}")
    for name, outcome in ways.items():
        wer = 100 * word_error_rate([clip.text for clip in clips], outcome.texts)
        median, worst = statistics.median(outcome.waits_s), max(outcome.waits_s)
        print(f"{name:44}{wer:7.2f}{outcome.cpu_s / spoken_s:13.3f}{median:23.3f}{worst:7.3f}")


def read_clips(folder: Path) -> list[Clip]:
    """All clips of the folder that have a transcription."""
    lines = (folder / "transcription").read_text().splitlines()
    matches = [re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip()) for line in lines]
    return [Clip(read_audio_file(folder / f"{match[2]}.wav")[0], match[1]) for match in matches if match]


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Errors a word, without regard to case and punctuation."""
    return float(jiwer.wer(list(map(_normal, said)), list(map(_normal, heard))))


def _normal(text: str) -> str:
    plain = re.sub(r"\bmr\b", "mister", text.lower().replace("-", " "))
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", plain).split())


def direct(clips: Sequence[Clip], *, trailing_s: float) -> Outcome:
    """The library's own call, with its own segmentation."""
    transcriber = Transcriber(find_model(None).path, ModelArch.TINY)
    silence = np.zeros(round(trailing_s * RATE_HERTZ), np.float32)
    cpu_s = time.process_time()
    texts: list[str] = []
    waits_s: list[float] = []
    for clip in clips:
        began = time.monotonic()
        lines = transcriber.transcribe_without_streaming(np.concatenate([clip.samples, silence]).tolist()).lines
        waits_s.append(time.monotonic() - began)
        texts.append(" ".join(line.text for line in lines))
    cpu_s = time.process_time() - cpu_s
    transcriber.close()
    return Outcome(texts, cpu_s, waits_s)


async def served(clips: Sequence[Clip], *, interim_results: bool, pause_s: float) -> Outcome:
    """The service, fed as by a microphone; `pause_s` of silence come before `finalize`."""
    settings = SttSettings()
    config = stt_pb2.RecognitionConfig(audio_format=AudioFormat().to_proto(), interim_results=interim_results)
    texts: list[str] = []
    waits_s: list[float] = []
    async with serving(SttService(create(EngineContext()), settings), settings) as (channel, _):
        method = stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize
        cpu_s = time.process_time()
        for clip in clips:
            async with exchange(method, Request(config=config)) as stream:
                text, wait_s = await _recognized(stream, clip, pause_s)
            texts.append(text)
            waits_s.append(wait_s)
        cpu_s = time.process_time() - cpu_s
    return Outcome(texts, cpu_s, waits_s)


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


if __name__ == "__main__":
    main()
