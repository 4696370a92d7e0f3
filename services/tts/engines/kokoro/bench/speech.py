"""Kokoro beside other voices in one run: are its words understood, when is it heard, what does it cost.

python bench/speech.py [--engine kokoro --engine hibari] [--keep FOLDER]

Needs an environment with all these engines and moonshine, whose recogniser hears what was said: the default one with
`pip install --no-deps services/tts/engines/kokoro`. The engines take turns text by text, so that a busy machine is as
busy for one as for the other; trust the ratios.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
import wave
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soxr

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.settings import ServerSettings
from voxmesh_tts.clauses import ClauseCutter
from voxmesh_tts.engine import Engine, SpokenWord, SynthesisOptions

TEXTS = (
    "Sure, I can do that.",
    "Paris is the capital of France.",
    "The quick brown fox jumps over the lazy dog.",
    "It will rain in the afternoon, so take an umbrella with you.",
    "I am sorry, but I did not find that file in your folder.",
    "The meeting was moved to Thursday morning, and everyone has been told.",
    "Could you say that again, please? I did not hear the last word.",
    "She bought fresh bread, a little cheese and some apples at the market.",
    "Turn left at the next corner, then walk straight on until you see the station.",
    "Water boils at a lower temperature on a high mountain than at the sea.",
    "My brother plays the violin, though he would rather play the drums.",
    "There is a garden behind the house, with a pond and some old trees.",
    "The old library closes early on Sundays, but the reading room stays open.",
    "Nobody knew where the sound came from, and nobody dared to ask.",
    "Please call the doctor and tell her that the patient feels much better.",
    "We saw three small boats on the river, and a large one by the bridge.",
    "He opened the window, because the room was warm and the air was heavy.",
    "A good answer is short, clear and true.",
    "The train to Edinburgh leaves in a few minutes from the last platform.",
    "Thank you for your patience. Is there anything else that I can do?",
)
HEARD_HERTZ = 16000
QUIET_S = 0.5
QUIET_RMS = 0.001
"""A room that is not quite silent: in digital silence the recogniser hears words that nobody said."""


@dataclass
class Tally:
    """What was measured of one engine."""

    first_s: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    audio_s: float = 0.0
    heard: list[str] = field(default_factory=list)


def speak(engine: Engine, text: str, tally: Tally) -> Samples:
    """All audio of a text, clause by clause as the service does it."""
    info = engine.info
    cutter = ClauseCutter(info.clause_limits)
    clauses = [*cutter.feed(text), *cutter.flush()]
    session = engine.open(SynthesisOptions(info.voices[0].name, info.voices[0].language_codes[0]))
    pieces: list[Samples] = []
    wall, cpu, first = time.perf_counter(), time.process_time(), None
    for clause in clauses:
        for piece in session.synthesize(clause.text):
            first = time.perf_counter() - wall if first is None else first
            if not isinstance(piece, SpokenWord):
                pieces.append(piece)
    tally.wall_s += time.perf_counter() - wall
    tally.cpu_s += time.process_time() - cpu
    session.close()
    tally.first_s += [] if first is None else [first]
    samples = np.concatenate([np.zeros(0, np.float32), *pieces])
    tally.audio_s += len(samples) / info.sample_rate_hertz
    return samples


class Listener:
    """The default recogniser, on whole utterances."""

    def __init__(self) -> None:
        moonshine: Any = import_module("moonshine_voice")
        folder = Path(str(moonshine.__file__)).parent / "assets" / "tiny-en"
        self._model = moonshine.Transcriber(model_path=str(folder), model_arch=moonshine.ModelArch.TINY)

    def hear(self, samples: Samples, hertz: int) -> str:
        """What it understands."""
        around = np.pad(samples, round(QUIET_S * hertz))
        room = np.random.default_rng(0).standard_normal(len(around)) * QUIET_RMS
        audio = soxr.resample(around + room, hertz, HEARD_HERTZ)
        lines = self._model.transcribe_without_streaming(audio.tolist(), HEARD_HERTZ).lines
        return " ".join(line.text for line in lines)


def bare(text: str) -> str:
    """Words alone."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def keep(folder: Path, name: str, samples: Samples, hertz: int) -> None:
    """Write a file to listen to."""
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(hertz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", action="append", help="engines, first the one that is compared")
    parser.add_argument("--keep", type=Path, help="folder of the audio")
    arguments = parser.parse_args()
    names: list[str] = arguments.engine or ["kokoro", "hibari"]
    context = EngineContext(cache_dir=ServerSettings().cache_dir)
    engines: dict[str, Engine] = {name: load_engine("tts", name)(context) for name in names}
    for engine in engines.values():
        engine.load()
        engine.warm_up()
    listener, tallies = Listener(), {name: Tally() for name in names}
    for number, text in enumerate(TEXTS):
        for name, engine in engines.items():
            samples, hertz = speak(engine, text, tallies[name]), engine.info.sample_rate_hertz
            tallies[name].heard.append(listener.hear(samples, hertz))
            if arguments.keep:
                keep(arguments.keep, f"{number:02}-{name}", samples, hertz)
    report(tallies)


def report(tallies: dict[str, Tally]) -> None:
    """One line an engine, the ratios of the first to each, and what was heard otherwise."""
    print("| engine | WER | first audio, median | real-time factor | CPU-s a second of audio | audio |")
    print("|---|---|---|---|---|---|")
    for name, tally in tallies.items():
        wrong = jiwer.wer([bare(text) for text in TEXTS], [bare(heard) for heard in tally.heard])
        first, wall, cpu = statistics.median(tally.first_s), tally.wall_s / tally.audio_s, tally.cpu_s / tally.audio_s
        print(f"| {name} | {wrong:.1%} | {first * 1000:.0f} ms | {wall:.3f} | {cpu:.3f} | {tally.audio_s:.1f} s |")
    base, *others = tallies
    for name in others:
        first = statistics.median(tallies[base].first_s) / statistics.median(tallies[name].first_s)
        cost = (tallies[base].cpu_s / tallies[base].audio_s) / (tallies[name].cpu_s / tallies[name].audio_s)
        print(f"{base} to {name}: first audio {first:.1f}x, CPU {cost:.1f}x")
    for name, tally in tallies.items():
        for text, heard in zip(TEXTS, tally.heard, strict=True):
            if bare(text) != bare(heard):
                print(f"{name}: {text!r} heard as {heard!r}")


if __name__ == "__main__":
    main()
