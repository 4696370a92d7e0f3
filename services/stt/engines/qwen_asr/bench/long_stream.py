"""An hour of speech in one stream, as fast as it goes: python long_stream.py [MINUTES]; memory every ten minutes.

Words of the tests come with short pauses, so that utterances of up to two minutes end by length as well as by pause.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import psutil

from voxmesh_runtime.audio import read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt_qwen_asr.engine import QwenAsrEngine
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings

DATA = Path(__file__).parent.parent / "tests" / "data"
RATE_HERTZ = 16000


def main() -> None:
    """Feed the stream and print what it costs."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    # Interim results as often as the audio has them, since the clock runs faster here.
    engine = QwenAsrEngine(EngineContext(model=str(DATA / "words"), device="cpu"), QwenAsrSettings(interim_share=1.0))
    engine.load()
    engine.warm_up()
    words = [read_audio_file(DATA / f"{word}.flac")[0] for word in ("project", "music", "cloud")]
    # Cut so that pauses last 0.3 s, less than what ends an utterance.
    speech = np.concatenate([word[round(0.2 * RATE_HERTZ) : -round(0.7 * RATE_HERTZ)] for word in words])
    session = engine.open(RecognitionOptions(interim_results=True))
    process, began = psutil.Process(), time.monotonic()
    position = finals = interims = 0
    print("| minutes | resident MB | CPU-s | wall s | finals | interims |\n|---|---|---|---|---|---|")
    for second in range(minutes * 60 + 1):
        if second % 600 == 0:
            memory, cpu_s = process.memory_info().rss / 1e6, sum(process.cpu_times()[:2])
            print(
                f"| {second // 60} | {memory:.0f} | {cpu_s:.0f} | {time.monotonic() - began:.0f} "
                f"| {finals} | {interims} |",
                flush=True,
            )
        chunk = np.take(speech, np.arange(position, position + RATE_HERTZ), mode="wrap")
        position = (position + RATE_HERTZ) % len(speech)
        (transcripts,) = engine.step([Step(session, chunk, is_final=False)])
        finals += sum(transcript.is_final for transcript in transcripts)
        interims += sum(not transcript.is_final for transcript in transcripts)
    session.close()
    engine.close()


if __name__ == "__main__":
    main()
