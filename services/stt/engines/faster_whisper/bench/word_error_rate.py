"""Word error rate, CPU time and wait for the final: the service beside faster-whisper called directly.

    python services/stt/engines/faster_whisper/bench/word_error_rate.py [--hour] [folder]

The folder holds wav files and a `transcription` in the form of CMU Sphinx; by default that of the
Debian package pocketsphinx-testdata. With --hour an hour of those clips runs through one stream
instead, as fast as it goes, and the process's memory is printed every ten minutes of audio.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
from faster_whisper import WhisperModel

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.memory import resident_bytes
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_faster_whisper.engine import FasterWhisperEngine
from voxmesh_stt_faster_whisper.settings import FasterWhisperSettings
from voxmesh_stt_faster_whisper.sources import fetch, find_model
from voxmesh_testing.comparison import LIBRIVOX, Outcome, heading, plain, read_clips, row, served
from voxmesh_testing.speech import RATE_HERTZ, Clip

CONTEXT = EngineContext(cache_dir=SttSettings().cache_dir, device="cpu")
WIDTH = 52


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
    print(heading(clips, WIDTH), flush=True)
    for compute_type in ("int8", "float32"):
        _print(f"{compute_type}, library, beam 5", direct(clips, compute_type), clips)
        for window in ("full", "short"):
            settings = FasterWhisperSettings(compute_type=compute_type, window=window)
            name = f"{compute_type}, service, {window} window"
            for interim_results, pause_s, how in (
                (False, 0.0, "finals alone"),
                (True, 0.0, "interim"),
                (True, 0.4, "interim, pause"),
            ):
                engine = FasterWhisperEngine(CONTEXT, settings)
                outcome = asyncio.run(served(engine, clips, interim_results=interim_results, pause_s=pause_s))
                _print(f"{name}, {how}", outcome, clips)


def _print(name: str, outcome: Outcome, clips: Sequence[Clip]) -> None:
    rate = word_error_rate([clip.text for clip in clips], outcome.texts)
    print(row(name, outcome, clips, rate, WIDTH), flush=True)


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Errors a word, without regard to case and punctuation."""
    return float(jiwer.wer(list(map(plain, said)), list(map(plain, heard))))


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
