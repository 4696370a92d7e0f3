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
NO_CUT = ""

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
    Made("um", "I wanted to ask you about, um,| the weather in the south of Italy.", HIBARI),
    Made("um_espeak", "Could you please tell me, um,| how many days there are in a year?", ESPEAK_GB),
    Made("story", "Tell me a long story about a king and his three sons.", HIBARI),
    Made("story_espeak", "Tell me a long story about a fisherman and the sea.", ESPEAK_GB),
    Made("mm_hm", "Mm-hmm.", HIBARI),
    Made("right", "Right.", HIBARI),
    Made("uh_huh", "Uh-huh.", ESPEAK_US),
    Made("okay", "Okay.", ESPEAK_GB),
    Made("stop_italy", "Stop, what about Italy?", HIBARI),
    Made("wait_hamlet", "Wait. Who wrote the play Hamlet?", ESPEAK_US),
    Made("i_mean_italy", "I mean, what is the capital of Italy?", HIBARI),
    Made("young_man", "he was not an ill disposed young man", LIBRIVOX, "0880"),
    Made("amiable", "he might even have been| made amiable himself", LIBRIVOX, "0930"),
)


async def main(recordings: Path) -> None:
    """Write every sound and the list."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    entries: list[str] = []
    async with local_mesh((TTS,), lambda _watched: None) as settings, Mesh(settings) as mesh:
        for made in SPEECH:
            whole = await spoken(mesh, made, recordings)
            texts = made.text.split("|")
            names = [made.name] if len(texts) == 1 else [f"{made.name}_begin", f"{made.name}_end"]
            for name, text, samples in zip(names, texts, cut(whole, len(texts)), strict=True):
                entries.append(write(name, text.strip(), made.source, samples))
    entries.append(write("cough", "", f"generated, seed {SEED}", cough(np.random.default_rng(SEED))))
    entries.append(write("door", "", f"generated, seed {SEED + 1}", door(np.random.default_rng(SEED + 1))))
    entries.append(write("fan", "", f"generated, seed {SEED + 2}", fan(np.random.default_rng(SEED + 2))))
    head = "# Made by tools/conversation_sounds.py; begin_s and end_s are the first and the last voiced sample.\n\n"
    (FOLDER / LIST).write_text(head + "\n".join(entries), encoding="utf-8")


async def spoken(mesh: Mesh, made: Made, recordings: Path) -> Samples:
    """The whole of a text at the microphone's rate."""
    text = made.text.replace("|", "")
    if made.recording:
        (path,) = recordings.rglob(f"*{made.recording}.wav")
        return at_microphone(*read_audio_file(path))
    if made.source == HIBARI:
        return await hibari(mesh, text)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        voice = made.source.split()[-1]
        subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", file.name, text], check=True)
        return at_microphone(*read_audio_file(Path(file.name)))


async def hibari(mesh: Mesh, text: str) -> Samples:
    """Speech of the default synthesiser."""

    async def pieces() -> AsyncIterator[str]:
        yield text

    config = tts_pb2.SynthesisConfig(audio_format=pcm(MICROPHONE_HERTZ).to_proto())
    return samples_of(b"".join([piece.data async for piece in mesh.text_to_speech.speak(pieces(), config)]))


def at_microphone(samples: Samples, hertz: int) -> Samples:
    """Samples at the microphone's rate."""
    resampler = Resampler(hertz, MICROPHONE_HERTZ)
    return np.concatenate([resampler.process(samples), resampler.flush()])


def cut(samples: Samples, parts: int) -> list[Samples]:
    """The whole, or its two parts, cut in the quietest 60 ms of its middle."""
    if parts == 1:
        return [samples]
    begin_s, end_s = voiced(samples, MICROPHONE_HERTZ)
    window = round(0.06 * MICROPHONE_HERTZ)
    first, last = (round((begin_s + share * (end_s - begin_s)) * MICROPHONE_HERTZ) for share in (0.3, 0.8))
    power = np.convolve(samples[first:last].astype(np.float64) ** 2, np.ones(window), "valid")
    middle = first + int(power.argmin()) + window // 2
    return [samples[:middle], samples[middle:]]


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
    """Two bursts of noise through a throat, as a cough has them."""
    bursts = [burst(random, 0.09, 0.012, (500, 1500, 2600)), np.zeros(int(0.07 * MICROPHONE_HERTZ))]
    bursts += [burst(random, 0.32, 0.07, (600, 1300, 2500)), np.zeros(int(0.12 * MICROPHONE_HERTZ))]
    bursts += [burst(random, 0.22, 0.05, (550, 1200, 2400)) * 0.6]
    return np.concatenate(bursts).astype(np.float32)


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
