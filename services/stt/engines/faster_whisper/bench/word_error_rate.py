"""Word error rate, CPU time and wait for the final: the service beside faster-whisper called directly.

    python services/stt/engines/faster_whisper/bench/word_error_rate.py [--hour] [folder]

The folder holds wav files and a `transcription` in the form of CMU Sphinx; by default that of the
Debian package pocketsphinx-testdata. With --hour an hour of those clips runs through one stream
instead, as fast as it goes, and the process's memory is printed every ten minutes of audio.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
from faster_whisper import WhisperModel

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, Samples, read_audio_file
from voxmesh_runtime.engines import EngineContext
from voxmesh_runtime.memory import resident_bytes
from voxmesh_runtime.testing import Exchange, exchange, serving
from voxmesh_stt.conformance_speech import CHUNK_S, FINALIZE, RATE_HERTZ, Request, Response, audio, finals
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_faster_whisper.engine import FasterWhisperEngine
from voxmesh_stt_faster_whisper.settings import FasterWhisperSettings
from voxmesh_stt_faster_whisper.sources import fetch, find_model

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
CONTEXT = EngineContext(cache_dir=SttSettings().cache_dir, device="cpu")


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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=LIBRIVOX)
    parser.add_argument("--hour", action="store_true")
    arguments = parser.parse_args()
    clips = read_clips(arguments.folder)
    if arguments.hour:
        hour(clips)
        return
    spoken_s = sum(len(clip.samples) for clip in clips) / RATE_HERTZ
    print(f"{len(clips)} clips, {spoken_s:.1f} s")
    print(f"{'':52}{'WER %':>7}{'CPU-s per s':>13}{'final after s, median':>23}{'worst':>7}", flush=True)
    for compute_type in ("int8", "float32"):
        _print(f"{compute_type}, library, beam 5", direct(clips, compute_type), clips, spoken_s)
        for window in ("full", "short"):
            settings = FasterWhisperSettings(compute_type=compute_type, window=window)
            name = f"{compute_type}, service, {window} window"
            for interim_results, pause_s, how in (
                (False, 0.0, "finals alone"),
                (True, 0.0, "interim"),
                (True, 0.4, "interim, pause"),
            ):
                served_ = asyncio.run(served(clips, settings, interim_results=interim_results, pause_s=pause_s))
                _print(f"{name}, {how}", served_, clips, spoken_s)


def _print(name: str, outcome: Outcome, clips: Sequence[Clip], spoken_s: float) -> None:
    wer = 100 * word_error_rate([clip.text for clip in clips], outcome.texts)
    median, worst = statistics.median(outcome.waits_s), max(outcome.waits_s)
    print(f"{name:52}{wer:7.2f}{outcome.cpu_s / spoken_s:13.3f}{median:23.3f}{worst:7.3f}", flush=True)


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


def direct(clips: Sequence[Clip], compute_type: str) -> Outcome:
    """The library's own call with its defaults, on one thread."""
    folder = fetch(find_model(None), CONTEXT.cache_dir)["model.bin"].parent
    model = WhisperModel(str(folder), device="cpu", compute_type=compute_type, cpu_threads=1, local_files_only=True)
    cpu_s = time.process_time()
    texts: list[str] = []
    waits_s: list[float] = []
    for clip in clips:
        began = time.monotonic()
        segments, _ = model.transcribe(clip.samples, condition_on_previous_text=False)
        texts.append(" ".join(segment.text for segment in segments))
        waits_s.append(time.monotonic() - began)
    return Outcome(texts, time.process_time() - cpu_s, waits_s)


async def served(
    clips: Sequence[Clip], engine_settings: FasterWhisperSettings, *, interim_results: bool, pause_s: float
) -> Outcome:
    """The service, fed as by a microphone; `pause_s` of silence come before `finalize`."""
    settings = SttSettings()
    config = stt_pb2.RecognitionConfig(audio_format=AudioFormat().to_proto(), interim_results=interim_results)
    texts: list[str] = []
    waits_s: list[float] = []
    engine = FasterWhisperEngine(CONTEXT, engine_settings)
    async with serving(SttService(engine, settings), settings) as (channel, _):
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


def hour(clips: Sequence[Clip]) -> None:
    """An hour of speech without a finalize in one session, as fast as it goes."""
    engine = FasterWhisperEngine(CONTEXT, FasterWhisperSettings())
    engine.load()
    engine.warm_up()
    session = engine.open(RecognitionOptions(interim_results=True))
    speech = np.concatenate([clip.samples for clip in clips])
    step, began, cpu_s = RATE_HERTZ // 2, time.monotonic(), time.process_time()
    print(f"loaded: {resident_bytes() / 2**20:.0f} MiB", flush=True)
    ended = 0
    for number in range(2 * 3600):
        begin = number * step % (len(speech) - step)
        (transcripts,) = engine.step([Step(session, speech[begin : begin + step], is_final=False)])
        ended += sum(transcript.is_final for transcript in transcripts)
        if (number + 1) % 1200 == 0:
            spent = f"{time.monotonic() - began:.0f} s, {time.process_time() - cpu_s:.0f} CPU-s"
            print(f"{(number + 1) // 120} min: {resident_bytes() / 2**20:.0f} MiB, {ended} finals, {spent}", flush=True)
    session.close()
    engine.close()


if __name__ == "__main__":
    main()
