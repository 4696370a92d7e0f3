"""What the service adds to direct calls of the same server, and its memory in an hour of speech.

    python services/stt/engines/openai_audio/bench/against_direct_calls.py [--hour] [--scripted]

The server is that of the tests, a process of its own: HTTP by the standard library, words by
Moonshine tiny-en on one thread, or scripted ones that cost no time. Clips are those of the Debian
package pocketsphinx-testdata if it is installed, else the two of the tests.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import httpx2
import jiwer
import numpy as np
import psutil

from voxmesh_runtime.audio import read_audio_file, wav_bytes
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt_openai_audio.engine import OpenAiAudioEngine
from voxmesh_stt_openai_audio.probe import spoken_sentence
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.testing import transcription_server
from voxmesh_testing.comparison import LIBRIVOX, Outcome, heading, plain, read_clips, row, served
from voxmesh_testing.speech import RATE_HERTZ, Clip

ROUNDS = 3
WIDTH = 56


def main() -> None:
    """Measure and print."""
    with recogniser(is_scripted="--scripted" in sys.argv) as url:
        if "--hour" in sys.argv:
            an_hour(url)
        else:
            compare(url, rounds=1 if "--scripted" in sys.argv else ROUNDS)


def compare(url: str, rounds: int) -> None:
    """Print the table of waits."""
    clips = known_clips() * rounds
    ways: dict[str, Callable[[], Outcome]] = {
        "direct POST of the whole clip": lambda: direct(clips, url),
        "service, finals alone, finalize at the last sample": lambda: by_service(
            clips, url, interims=False, pause_s=0.0
        ),
        "service, interim results, finalize at the last sample": lambda: by_service(
            clips, url, interims=True, pause_s=0.0
        ),
        "the same, finalize after 0.3 s of silence": lambda: by_service(clips, url, interims=True, pause_s=0.3),
    }
    print(heading(clips, WIDTH))
    for name, way in ways.items():
        outcome = way()
        rate = float(jiwer.wer([plain(clip.text) for clip in clips], [plain(text) for text in outcome.texts]))
        print(row(name, outcome, clips, rate, WIDTH))


def direct(clips: Sequence[Clip], url: str) -> Outcome:
    """The server called as any client would."""
    texts: list[str] = []
    waits_s: list[float] = []
    cpu_s = time.process_time()
    with httpx2.Client(timeout=60) as client:
        for clip in clips:
            began = time.monotonic()
            files = {"file": ("speech.wav", wav_bytes(clip.samples, RATE_HERTZ), "audio/wav")}
            data = {"model": "moonshine/tiny-en", "response_format": "json", "language": "en"}
            answer = client.post(f"{url}/audio/transcriptions", files=files, data=data)
            texts.append(answer.json()["text"])
            waits_s.append(time.monotonic() - began)
    return Outcome(texts, time.process_time() - cpu_s, waits_s)


def by_service(clips: Sequence[Clip], url: str, *, interims: bool, pause_s: float = 0.0) -> Outcome:
    """The service in front of the server."""
    engine = OpenAiAudioEngine(EngineContext(), OpenAiAudioSettings(base_url=url))
    return asyncio.run(served(engine, clips, pause_s=pause_s, interim_results=interims, language_codes=["en"]))


def an_hour(url: str) -> None:
    """Print the memory of this process while one stream hears an hour, as fast as the server can."""
    engine = OpenAiAudioEngine(EngineContext(), OpenAiAudioSettings(base_url=url))
    engine.load()
    engine.warm_up()
    clips = known_clips()
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


def known_clips() -> list[Clip]:
    """Clips with their words."""
    if LIBRIVOX.is_dir():
        return read_clips(LIBRIVOX)
    amiable = Path(__file__).parent.parent / "tests" / "data" / "amiable.flac"
    return [
        Clip(spoken_sentence(), "he was not an ill disposed young man"),
        Clip(read_audio_file(amiable)[0], "he might even have been made amiable himself"),
    ]


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
