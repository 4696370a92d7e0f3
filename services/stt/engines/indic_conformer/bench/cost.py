"""What an utterance costs in batches of 1, 4 and 8, what phrases cost, and what an hour in one stream does to memory.

    python services/stt/engines/indic_conformer/bench/cost.py [MODEL] [--hours HOURS]

MODEL is as for the service; by default the tests' small model. Its clips are what is recognised.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from voxmesh_runtime.audio import read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.memory import resident_bytes
from voxmesh_stt.engine import Phrase, RecognitionOptions, Step
from voxmesh_stt_indic_conformer.engine import IndicConformerEngine
from voxmesh_stt_indic_conformer.files import Decoder, find_model
from voxmesh_stt_indic_conformer.graphs import Loader
from voxmesh_stt_indic_conformer.model import Model, Speech
from voxmesh_stt_indic_conformer.phrases import PhraseTree
from voxmesh_stt_indic_conformer.settings import IndicConformerSettings

DATA = Path(__file__).parent.parent / "tests" / "data"
RATE_HERTZ = 16000
REPEATS = 10
STEP_S = 0.1
PAUSE_S = 2.0
REPORT_S = 600


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default=str(DATA / "words"))
    parser.add_argument("--hours", type=float, default=1.0)
    arguments = parser.parse_args()
    decoders: tuple[Decoder, ...] = ("rnnt", "ctc")
    for decoder in decoders:
        _batches(arguments.model, decoder)
    _phrases(arguments.model)
    _hour(arguments.model, arguments.hours)


def _speech(seconds: float) -> Speech:
    """The Hindi clips one after another, over and over."""
    texts = json.loads((DATA / "clips.json").read_text(encoding="utf-8"))
    names = [name for name, clip in texts.items() if clip["language"] == "hi"]
    samples = np.concatenate([read_audio_file(DATA / f"{name}.flac")[0] for name in names])
    return Speech(np.resize(samples, round(seconds * RATE_HERTZ)), "hi")


def _load(wanted: str, decoder: Decoder) -> Model:
    return Model(find_model(wanted, decoder, Path()), decoder, Loader("cpu", 1))


def _batches(wanted: str, decoder: Decoder) -> None:
    model = _load(wanted, decoder)
    print(f"\n{decoder}: CPU-ms an utterance\n\n| seconds | batch 1 | batch 4 | batch 8 |\n|---|---|---|---|")
    for seconds in (3, 10, 20):
        speech = _speech(seconds)
        costs = [_cost_ms(model, [speech] * size) / size for size in (1, 4, 8)]
        print(f"| {seconds} | " + " | ".join(f"{cost:.1f}" for cost in costs) + " |", flush=True)


def _phrases(wanted: str) -> None:
    print("\nphrases: CPU-ms to take a list and CPU-ms of 10 s of speech with it\n\n| phrases | list | speech |")
    print("|---|---|---|")
    model = _load(wanted, "rnnt")
    vocabulary = model.vocabulary["hi"]
    letters = [text for text in vocabulary if len(text) == 1 and text.isalpha()]
    chance = np.random.default_rng(seed=1)
    for count in (0, 10, 1000, 10_000):
        phrases = [Phrase("".join(chance.choice(letters, 12))) for _ in range(count)]
        began = time.process_time()
        tree = PhraseTree(phrases, vocabulary, 1.0)
        made_ms = 1000 * (time.process_time() - began)
        speech = replace(_speech(10), phrases=tree if phrases else None)
        print(f"| {count} | {made_ms:.1f} | {_cost_ms(model, [speech]):.1f} |", flush=True)


def _cost_ms(model: Model, batch: list[Speech]) -> float:
    model.transcribe(batch)
    began = time.process_time()
    for _ in range(REPEATS):
        model.transcribe(batch)
    return 1000 * (time.process_time() - began) / REPEATS


def _hour(wanted: str, hours: float) -> None:
    """Speech with pauses in one stream that is never finalized, as fast as it goes."""
    engine = IndicConformerEngine(EngineContext(model=wanted), IndicConformerSettings())
    engine.load()
    engine.warm_up()
    print(f"\none stream: resident MB, {resident_bytes() / 1e6:.0f} before it\n\n| minutes | MB | finals | CPU-s |")
    print("|---|---|---|---|")
    session = engine.open(RecognitionOptions(("hi",), interim_results=True, phrases=(Phrase("क्लॉड"),)))
    audio = np.concatenate([_speech(20).samples, np.zeros(round(PAUSE_S * RATE_HERTZ), np.float32)])
    size, began, fed, finals, reports = round(STEP_S * RATE_HERTZ), time.process_time(), 0, 0, 0
    while fed < hours * 3600 * RATE_HERTZ:
        for begin in range(0, len(audio), size):
            (transcripts,) = engine.step([Step(session, audio[begin : begin + size], is_final=False)])
            finals += sum(transcript.is_final for transcript in transcripts)
        fed += len(audio)
        if fed // (REPORT_S * RATE_HERTZ) > reports:
            reports = fed // (REPORT_S * RATE_HERTZ)
            minutes, used_s = fed / RATE_HERTZ / 60, time.process_time() - began
            print(f"| {minutes:.0f} | {resident_bytes() / 1e6:.0f} | {finals} | {used_s:.0f} |", flush=True)
    session.close()
    engine.close()


if __name__ == "__main__":
    main()
