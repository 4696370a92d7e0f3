"""What the service adds to direct calls of the same server, and its memory in an hour of speech.

    python services/stt/engines/openai_audio/bench/against_direct_calls.py [--hour] [--scripted]

The server is that of the tests, a process of its own: HTTP by the standard library, words by
Moonshine tiny-en on one thread, or scripted ones that cost no time. Clips are those of the Debian
package pocketsphinx-testdata if it is installed, else the two of the tests.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import jiwer
import numpy as np
import psutil

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.audio import AudioFormat, Samples, read_audio_file, wav_bytes
from voxmesh_runtime.engines import EngineContext
from voxmesh_runtime.testing import Exchange, exchange, serving
from voxmesh_stt.conformance_speech import CHUNK_S, FINALIZE, RATE_HERTZ, Request, Response, audio, finals
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.probe import spoken_sentence
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.testing import transcription_server

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Clip:
    """Speech at 16 kHz and its words."""

    samples: Samples
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way of recognition gave for all clips."""

    texts: Sequence[str]
    waits_s: Sequence[float]
    """From the last audio to the final result, one a clip."""
    cpu_s: float = 0.0
    """Of this process: gRPC server and client, VAD, HTTP client."""


def main() -> None:
    """Measure and print."""
    with recogniser(is_scripted="--scripted" in sys.argv) as url:
        if "--hour" in sys.argv:
            an_hour(url)
        else:
            compare(url, rounds=1 if "--scripted" in sys.argv else ROUNDS)


def compare(url: str, rounds: int) -> None:
    """Print the table of waits."""
    clips = read_clips() * rounds
    ways: dict[str, Callable[[], Outcome]] = {
        "direct POST of the whole clip": lambda: direct(clips, url),
        "service, finals alone, finalize at the last sample": lambda: served(clips, url, interims=False, pause_s=0.0),
        "service, interim results, finalize at the last sample": lambda: served(clips, url, interims=True, pause_s=0.0),
        "the same, finalize after 0.3 s of silence": lambda: served(clips, url, interims=True, pause_s=0.3),
    }
    spoken_s = sum(len(clip.samples) for clip in clips) / RATE_HERTZ
    print(f"{len(clips)} clips, {spoken_s:.1f} s")
    print(f"{'':56}{'WER %':>7}{'CPU-s per s':>13}{'final after s, median':>23}{'worst':>7}")
    for name, way in ways.items():
        outcome = way()
        wer = 100 * float(jiwer.wer([plain(clip.text) for clip in clips], [plain(text) for text in outcome.texts]))
        median, worst = statistics.median(outcome.waits_s), max(outcome.waits_s)
        print(f"{name:56}{wer:7.2f}{outcome.cpu_s / spoken_s:13.3f}{median:23.3f}{worst:7.3f}")


def direct(clips: Sequence[Clip], url: str) -> Outcome:
    """The server called as any client would."""
    texts: list[str] = []
    waits_s: list[float] = []
    cpu_s = time.process_time()
    with httpx.Client(timeout=60) as client:
        for clip in clips:
            began = time.monotonic()
            files = {"file": ("speech.wav", wav_bytes(clip.samples, RATE_HERTZ), "audio/wav")}
            data = {"model": "moonshine/tiny-en", "response_format": "json", "language": "en"}
            answer = client.post(f"{url}/audio/transcriptions", files=files, data=data)
            texts.append(answer.json()["text"])
            waits_s.append(time.monotonic() - began)
    return Outcome(texts, waits_s, time.process_time() - cpu_s)


def served(clips: Sequence[Clip], url: str, *, interims: bool, pause_s: float) -> Outcome:
    """The service, fed as by a microphone; `pause_s` of silence come before `finalize`."""
    return asyncio.run(_served(clips, url, interims=interims, pause_s=pause_s))


async def _served(clips: Sequence[Clip], url: str, *, interims: bool, pause_s: float) -> Outcome:
    settings = SttSettings()
    config = stt_pb2.RecognitionConfig(
        audio_format=AudioFormat().to_proto(), interim_results=interims, language_codes=["en"]
    )
    engine = OpenAiAudioEngine(EngineContext(), OpenAiAudioSettings(base_url=url))
    texts: list[str] = []
    waits_s: list[float] = []
    async with serving(SttService(engine, settings), settings) as (channel, _):
        method = stt_pb2_grpc.SpeechToTextServiceStub(channel).StreamingRecognize
        cpu_s = time.process_time()
        for clip in clips:
            async with exchange(method, Request(config=config)) as stream:
                text, wait_s = await _recognized(stream, clip, pause_s)
            texts.append(text)
            waits_s.append(wait_s)
        cpu_s = time.process_time() - cpu_s
    return Outcome(texts, waits_s, cpu_s)


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


def an_hour(url: str) -> None:
    """Print the memory of this process while one stream hears an hour, as fast as the server can."""
    engine = OpenAiAudioEngine(EngineContext(), OpenAiAudioSettings(base_url=url))
    engine.load()
    engine.warm_up()
    clips = read_clips()
    pause = np.zeros(RATE_HERTZ, np.float32)
    lap = np.concatenate([part for clip in clips for part in (clip.samples, pause)])
    session = engine.open(RecognitionOptions(language_codes=("en",), interim_results=True))
    process, began, characters = psutil.Process(), time.monotonic(), 0
    for step in range(60 * 60 * 2):
        begin = step * RATE_HERTZ // 2
        samples = np.take(lap, range(begin, begin + RATE_HERTZ // 2), mode="wrap")
        (transcripts,) = engine.step([Step(session, samples, is_final=False)])
        characters += sum(len(transcript.text) for transcript in transcripts if transcript.is_final)
        if step % (10 * 60 * 2) == 0 or step == 60 * 60 * 2 - 1:
            rss_mb = process.memory_info().rss / 1e6
            elapsed_s = time.monotonic() - began
            print(f"{step / 2 / 60:5.1f} min: {rss_mb:6.1f} MB, {characters} characters, {elapsed_s:.0f} s", flush=True)
    session.close()
    engine.close()


def read_clips() -> list[Clip]:
    """Clips with their words."""
    if not LIBRIVOX.is_dir():
        amiable = Path(__file__).parent.parent / "tests" / "data" / "amiable.flac"
        return [
            Clip(spoken_sentence(), "he was not an ill disposed young man"),
            Clip(read_audio_file(amiable)[0], "he might even have been made amiable himself"),
        ]
    lines = (LIBRIVOX / "transcription").read_text().splitlines()
    matches = [re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip()) for line in lines]
    return [Clip(read_audio_file(LIBRIVOX / f"{match[2]}.wav")[0], match[1]) for match in matches if match]


def plain(text: str) -> str:
    """Words without case and punctuation."""
    spelt = re.sub(r"\bmr\b", "mister", text.lower().replace("-", " "))
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", spelt).split())


@contextmanager
def recogniser(*, is_scripted: bool) -> Generator[str]:
    """The server in a process of its own; gives its address."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, is_scripted))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def _serve(parent: Connection, is_scripted: bool) -> None:  # noqa: FBT001 # a process takes positions
    answer = None
    if not is_scripted:
        from voxmesh_stt_openai_audio.testing_recogniser import Recogniser  # noqa: PLC0415 # loads a model

        answer = Recogniser().answer
    with transcription_server(answer, ["moonshine/tiny-en"]) as server:
        parent.send(server.url)
        parent.recv()


if __name__ == "__main__":
    main()
