"""Word error rate, CPU time and wait for the final: the service beside the library called directly.

    python services/stt/engines/moonshine/bench/word_error_rate.py [folder]

The folder holds wav files and a `transcription` in the form of CMU Sphinx; by default that of the
Debian package pocketsphinx-testdata.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
from moonshine_voice import ModelArch
from moonshine_voice.transcriber import Transcriber

from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import Engine
from voxmesh_stt_moonshine import create
from voxmesh_stt_moonshine.model import find_model
from voxmesh_testing.comparison import LIBRIVOX, Outcome, heading, plain, read_clips, row, served
from voxmesh_testing.speech import RATE_HERTZ, Clip


def main() -> None:
    """Measure and print a table."""
    clips = read_clips(Path(sys.argv[1]) if len(sys.argv) > 1 else LIBRIVOX)
    ways = {
        "library, whole clips": direct(clips, trailing_s=0.0),
        "library, 0.5 s of silence appended": direct(clips, trailing_s=0.5),
        "service, real time, finals alone": asyncio.run(served(_engine(), clips, interim_results=False)),
        "service, real time, interim results": asyncio.run(served(_engine(), clips, interim_results=True)),
        "the same, finalize after 0.3 s of silence": asyncio.run(
            served(_engine(), clips, interim_results=True, pause_s=0.3)
        ),
    }
    print(heading(clips, 44))
    for name, outcome in ways.items():
        rate = word_error_rate([clip.text for clip in clips], outcome.texts)
        print(row(name, outcome, clips, rate, 44))


def _engine() -> Engine:
    return create(EngineContext())


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Errors a word, without regard to case and punctuation."""
    return float(jiwer.wer(list(map(plain, said)), list(map(plain, heard))))


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


if __name__ == "__main__":
    main()
