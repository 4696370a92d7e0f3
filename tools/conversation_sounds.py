"""Make the sounds of `voxmesh bench conversation` again: two synthesisers, real recordings, seeded noise.

python tools/conversation_sounds.py RECORDINGS    where RECORDINGS has the clips of pocketsphinx-testdata

Needs espeak-ng on PATH. Where speech begins and ends is measured once, here, and written to sounds.toml.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from distributions import ROOT
from numpy.typing import NDArray

from voxmesh.tts.v1 import tts_pb2
from voxmesh_client import Mesh
from voxmesh_client.bench.conversations.local_mesh import local_mesh
from voxmesh_client.bench.conversations.sounds import LIST, MICROPHONE_HERTZ, voiced
from voxmesh_client.slots import TTS
from voxmesh_client.sound import pcm, samples_of
from voxmesh_runtime.audio import Resampler, Samples, read_audio_file

FOLDER = ROOT / "client/voxmesh_client/bench/conversations/sounds"
SEED = 20_240
MARGIN_S = 0.05
"""What stays of the silence around speech."""
PEAK = 0.5

HIBARI = "hibari af_heart"
ESPEAK_US = "espeak-ng en-us"
ESPEAK_GB = "espeak-ng en-gb-x-rp"
LIBRIVOX = "LibriVox, Sense and Sensibility"


@dataclass(frozen=True, slots=True)
class Made:
    """A sound to make; of a text with `|` two are made, cut where the speaker rests."""

    name: str
    text: str
    source: str
    recording: str = ""
    middle: tuple[float, float] = (0.2, 0.75)
    """Where to look for the rest, as shares of the speech."""


SPEECH = (
    Made("france", "What is the capital of France?", HIBARI),
    Made("spain", "What is the capital of Spain?", HIBARI),
    Made("ocean", "Please tell me the name of the largest ocean.", ESPEAK_US),
    Made("hamlet", "Who wrote the play Hamlet?", ESPEAK_GB),
    Made("germany", "And what about Germany?", ESPEAK_US),
    Made("yeah", "Yeah.", HIBARI),
    Made("yeah_espeak", "Yeah.", ESPEAK_US),
    Made("italy", "Next summer I am going to visit Rome with my sister,| so what should we see there?", HIBARI),
    Made("river", "I would like to know the name of,| the longest river in Africa.", ESPEAK_US),
    Made("um", "I wanted to ask you about, um,| the weather in the south of Italy.", HIBARI, middle=(0.48, 0.7)),
    Made(
        "um_espeak", "Could you please tell me, um,| how many days there are in a year?", ESPEAK_GB, middle=(0.45, 0.7)
    ),
    Made("story", "Tell me a long story about a king and his three sons.", HIBARI),
    Made("story_espeak", "Tell me a long story about a fisherman and the sea.", ESPEAK_GB),
    Made("right", "Right.", HIBARI),
    Made("okay", "Okay.", ESPEAK_GB),
    Made("stop_italy", "Stop, what about Italy?", HIBARI),
    Made("wait_hamlet", "Wait. Who wrote the play Hamlet?", ESPEAK_US),
    Made("i_mean_italy", "I mean, what is the capital of Italy?", HIBARI),
    Made("young_man", "he was not an ill disposed young man", LIBRIVOX, "0880"),
    Made("amiable", "he might even have| been made amiable himself", LIBRIVOX, "0930"),
)


async def main(recordings: Path) -> None:
    """Write every sound and the list."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    entries: list[str] = []
    async with local_mesh((TTS,), lambda _watched: None) as settings, Mesh(settings) as mesh:
        for made in SPEECH:
            whole = await hibari(mesh, made) if made.source == HIBARI else others(made, recordings)
            texts = made.text.split("|")
            names = [made.name] if len(texts) == 1 else [f"{made.name}_begin", f"{made.name}_end"]
            for name, text, samples in zip(names, texts, cut(whole, len(texts), made.middle), strict=True):
                entries.append(write(name, text.strip(), made.source, samples))
    # No synthesiser at hand hums so that a recogniser hears it.
    entries.append(write("mm_hm", "Mm-hmm.", f"generated, seed {SEED + 3}", hum(np.random.default_rng(SEED + 3))))
    entries.append(write("cough", "", f"generated, seed {SEED}", cough(np.random.default_rng(SEED))))
    entries.append(write("door", "", f"generated, seed {SEED + 1}", door(np.random.default_rng(SEED + 1))))
    entries.append(write("fan", "", f"generated, seed {SEED + 2}", fan(np.random.default_rng(SEED + 2))))
    head = "# Made by tools/conversation_sounds.py; begin_s and end_s are the first and the last voiced sample.\n\n"
    (FOLDER / LIST).write_text(head + "\n".join(entries), encoding="utf-8")


def others(made: Made, recordings: Path) -> Samples:
    """A recording, or speech of espeak-ng."""
    if made.recording:
        (path,) = recordings.rglob(f"*{made.recording}.wav")
        return at_microphone(*read_audio_file(path))
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        voice = made.source.split()[-1]
        subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", file.name, made.text.replace("|", "")], check=True)
        return at_microphone(*read_audio_file(Path(file.name)))


async def hibari(mesh: Mesh, made: Made) -> Samples:
    """Speech of the default synthesiser."""

    async def pieces() -> AsyncIterator[str]:
        yield made.text.replace("|", "")

    config = tts_pb2.SynthesisConfig(audio_format=pcm(MICROPHONE_HERTZ).to_proto())
    return samples_of(b"".join([piece.data async for piece in mesh.text_to_speech.speak(pieces(), config)]))


def at_microphone(samples: Samples, hertz: int) -> Samples:
    """Samples at the microphone's rate."""
    resampler = Resampler(hertz, MICROPHONE_HERTZ)
    return np.concatenate([resampler.process(samples), resampler.flush()])


def cut(samples: Samples, parts: int, middle: tuple[float, float]) -> list[Samples]:
    """The whole, or its two parts, cut in the quietest 120 ms of its middle."""
    if parts == 1:
        return [samples]
    begin_s, end_s = voiced(samples, MICROPHONE_HERTZ)
    window = round(0.12 * MICROPHONE_HERTZ)
    first, last = (round((begin_s + share * (end_s - begin_s)) * MICROPHONE_HERTZ) for share in middle)
    power = np.convolve(samples[first:last].astype(np.float64) ** 2, np.ones(window), "valid")
    rest = first + int(power.argmin()) + window // 2
    return [samples[:rest], samples[rest:]]


def write(name: str, text: str, source: str, samples: Samples) -> str:
    """Write one sound without the silence around it, and give its entry in the list."""
    begin_s, end_s = voiced(samples, MICROPHONE_HERTZ)
    first = max(0, round((begin_s - MARGIN_S) * MICROPHONE_HERTZ))
    last = min(samples.size, round((end_s + MARGIN_S) * MICROPHONE_HERTZ))
    kept = samples[first:last] / max(1e-9, float(np.abs(samples).max())) * PEAK
    soundfile.write(FOLDER / f"{name}.flac", kept, MICROPHONE_HERTZ, subtype="PCM_16", compression_level=1.0)
    begin_s, end_s = (at_s - first / MICROPHONE_HERTZ for at_s in (begin_s, end_s))
    fields = {"file": f'"{name}.flac"', "text": f'"{text}"', "source": f'"{source}"'}
    fields |= {"begin_s": f"{begin_s:.3f}", "end_s": f"{end_s:.3f}"}
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in fields.items()), ""])


def cough(random: np.random.Generator) -> Samples:
    """Two coughs: noise bursts through a throat, each with a voice that falls after it, so that detectors notice."""
    pieces = [burst(random, 0.06, 0.012, (500, 1500, 2600)), groan(random, 0.3, 210)]
    pieces += [np.zeros(int(0.1 * MICROPHONE_HERTZ)), burst(random, 0.05, 0.01, (600, 1400, 2600))]
    return np.concatenate([*pieces, groan(random, 0.26, 180) * 0.8]).astype(np.float32)


def groan(random: np.random.Generator, length_s: float, hertz: float) -> NDArray[np.float64]:
    """A rough voice of falling pitch that dies away, with breath in it."""
    at_s = np.arange(int(length_s * MICROPHONE_HERTZ)) / MICROPHONE_HERTZ
    phase = np.cumsum(hertz * (1 - 0.3 * at_s / length_s) * (1 + 0.02 * random.standard_normal(at_s.size)))
    pulses = np.diff(np.floor(phase / MICROPHONE_HERTZ), prepend=0.0)
    source = pulses * 12 + 0.5 * random.standard_normal(at_s.size)
    envelope = np.minimum(1.0, at_s / 0.02) * np.exp(-at_s / (0.5 * length_s))
    return shaped(source, (650, 1150, 2500), 180) * envelope


def hum(random: np.random.Generator) -> Samples:
    """A listener's hum in two parts, the second one rising."""
    breath = random.standard_normal(int(0.07 * MICROPHONE_HERTZ)) * 0.04
    return np.concatenate([nasal(random, 0.2, (130, 117)), breath, nasal(random, 0.28, (136, 169))]).astype(np.float32)


def nasal(random: np.random.Generator, length_s: float, hertz: tuple[float, float]) -> NDArray[np.float64]:
    """A voice through the nose, from one pitch to another."""
    at_s = np.arange(int(length_s * MICROPHONE_HERTZ)) / MICROPHONE_HERTZ
    phase = np.cumsum(np.linspace(*hertz, at_s.size)) / MICROPHONE_HERTZ
    source = np.diff(np.floor(phase), prepend=0.0) * 10 + 0.05 * random.standard_normal(at_s.size)
    frequencies = np.fft.rfftfreq(at_s.size, 1 / MICROPHONE_HERTZ)
    resonances = ((1.0, 250, 120), (0.12, 1000, 150), (0.06, 2200, 250))
    response = sum(level * np.exp(-(((frequencies - middle) / width) ** 2)) for level, middle, width in resonances)
    voice = np.fft.irfft(np.fft.rfft(source) * response, at_s.size)
    return voice / np.abs(voice).max() * np.minimum(1.0, np.minimum(at_s, at_s[::-1]) / 0.04)


def door(random: np.random.Generator) -> Samples:
    """A door that falls shut, and what rattles after it."""
    slam = burst(random, 0.35, 0.06, (90, 180, 420))
    rattle = np.concatenate([burst(random, 0.06, 0.012, (1800, 3200, 5000)) * level for level in (0.3, 0.2, 0.12)])
    return np.concatenate([slam, np.zeros(int(0.05 * MICROPHONE_HERTZ)), rattle]).astype(np.float32)


def fan(random: np.random.Generator) -> Samples:
    """A second and a half of a machine that starts and stops."""
    count = int(1.5 * MICROPHONE_HERTZ)
    swell = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.3 * MICROPHONE_HERTZ))
    return (shaped(random.standard_normal(count), (120, 300, 900), 250) * swell).astype(np.float32)


def burst(random: np.random.Generator, length_s: float, fall_s: float, hertz: tuple[int, ...]) -> NDArray[np.float64]:
    """Noise with resonances that falls away."""
    count = int(length_s * MICROPHONE_HERTZ)
    at_s = np.arange(count) / MICROPHONE_HERTZ
    envelope = np.minimum(1.0, at_s / 0.004) * np.exp(-at_s / fall_s)
    return shaped(random.standard_normal(count), hertz, 180) * envelope


def shaped(noise: NDArray[np.float64], hertz: tuple[int, ...], width_hertz: float) -> NDArray[np.float64]:
    """Noise with its power around some frequencies, at most 1 loud."""
    frequencies = np.fft.rfftfreq(noise.size, 1 / MICROPHONE_HERTZ)
    response = sum(np.exp(-(((frequencies - each) / width_hertz) ** 2)) for each in hertz) + 0.02
    coloured = np.fft.irfft(np.fft.rfft(noise) * response, noise.size)
    return coloured / np.abs(coloured).max()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
