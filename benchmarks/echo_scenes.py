"""Scenes of benchmark `echo`: replies that come back through loudspeakers and rooms, and persons who interrupt them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.voices import ESPEAK, ESPEAK_BRITISH, HIBARI, PERSON_DB, RATE_HERTZ, Voices, leveled, noise, trimmed
from voxmesh_runtime.audio import Samples

__all__ = ["RATE_HERTZ", "REPLIES", "Scene", "Studio"]

REPLY_DB = -20.0
"""Loudness, against full scale."""

REPLIES = (
    (
        "Once upon a time there was a king who had three sons, and he loved all of them. "
        "The eldest went out to see the world, and he never came back to the castle."
    ),
    (
        "The capital of France is Paris, a large city on the river Seine. "
        "It has been the capital for about a thousand years, and more than two million people live there."
    ),
    (
        "To bake bread you need flour, water, salt and yeast. "
        "Mix them in a bowl, knead the dough for ten minutes, "
        "and let it rest in a warm place until it has doubled in size."
    ),
    (
        "The Pacific is the largest ocean on Earth. "
        "It covers about a third of the planet, and it is deeper than any other ocean, "
        "with the Mariana Trench near the Philippines."
    ),
    (
        "Your meeting with Doctor Harris is at half past nine tomorrow morning. "
        "After that you have lunch with Anna, and in the afternoon there is nothing in your calendar."
    ),
    (
        "William Shakespeare wrote Hamlet around the year sixteen hundred. "
        "It is the story of a prince of Denmark whose father was murdered by his uncle."
    ),
)
QUOTES = (
    *("Three sons?", "Did you say Paris?", "How much flour?", "A third of the planet?", "At half past nine?"),
    *("His uncle?", "the eldest?", "two million people live there?", "ten minutes?", "the Mariana Trench?"),
    *("lunch with Anna?", "a prince of Denmark?"),
)
"""One for each reply in turn, in its own words."""
INTERRUPTIONS = (
    *("Stop.", "Wait.", "No.", "Stop, what about Italy?", "No, I meant the other one.", "Wait, who wrote that?"),
    *("Hold on.", "Be quiet please.", "Can you say that again?", "I have another question.", "Excuse me."),
    *("That is not what I asked.", "Thank you, that is enough.", "What about Germany?", "Please stop talking."),
    "Sorry, tell me about the weather instead.",
)
ESPEAK_REPLIES = (4, 5)
ECHOES = 120


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a microphone hears while a reply is played; second 0 is the reply's first."""

    kind: str
    reply: int
    echo: Samples | None
    """Of the whole reply at full volume; None where none is heard."""
    echo_delay_s: float
    own: Samples
    """What is heard beside the echo."""
    person_at_s: float | None


class Studio:
    """Makes all sounds, with two synthesisers and a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._voices = Voices()
        self.replies = [
            leveled(self._voices.say(text, ESPEAK if number in ESPEAK_REPLIES else HIBARI), REPLY_DB)
            for number, text in enumerate(REPLIES)
        ]

    def scenes(self) -> Iterator[Scene]:
        """All scenes of a seed."""
        rng = self._rng
        for number in range(ECHOES):
            begin_s, length_s = rng.uniform(0.6, 5.5), rng.choice([0.4, 0.7, 1.2, 2.0, 3.5, 8.0])
            gain_db, noise_db = rng.choice([0, -6, -12, -18, -24]), rng.choice([-70, -60, -50])
            echo, delay_s = self._echo(number % 6, gain_db, in_room=number % 2 > 0, is_suppressed=number % 5 == 0)
            heard = _part(echo, begin_s, begin_s + length_s)
            yield Scene("echo", number % 6, heard, delay_s, noise(rng, len(echo), noise_db), None)
        for voice in (HIBARI, ESPEAK, ESPEAK_BRITISH):
            for number, text in enumerate(INTERRUPTIONS):
                yield from self._person("interruption", number % 6, text, voice, rng.uniform(0.8, 3.5))
        for voice in (HIBARI, ESPEAK_BRITISH):
            for number, text in enumerate(QUOTES):
                yield from self._person("quotation", number % 6, text, voice, rng.uniform(2.5, 5.0))

    def _person(self, kind: str, reply: int, text: str, voice: str, at_s: float) -> Iterator[Scene]:
        speech = leveled(trimmed(self._voices.say(text, voice)), PERSON_DB + float(self._rng.choice([0, -6, -12])))
        own = noise(self._rng, len(self.replies[reply]), -65)
        at = round(at_s * RATE_HERTZ)
        own[at : at + len(speech)] += speech[: len(own) - at]
        yield Scene(kind, reply, None, 0.0, own, at_s)
        gain_db = self._rng.choice([-12, -18, -24])
        echo, delay_s = self._echo(reply, gain_db, in_room=True, is_suppressed=bool(self._rng.integers(2)))
        yield Scene(f"{kind} over echo", reply, echo, delay_s, own, at_s)

    def _echo(self, reply: int, gain_db: float, *, in_room: bool, is_suppressed: bool) -> tuple[Samples, float]:
        """A reply through a small loudspeaker, and a room, and a canceller that lets parts of it through."""
        echo = _small_loudspeaker(self.replies[reply])
        if in_room:
            length = round(self._rng.uniform(0.15, 0.4) * RATE_HERTZ)
            tail = 0.12 * self._rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
            tail[0] = 1
            size = len(echo) + length
            echo = np.fft.irfft(np.fft.rfft(echo, size) * np.fft.rfft(tail, size), size)[: len(echo)]
        if is_suppressed:
            step = RATE_HERTZ // 10
            gains = self._rng.choice([1, 0.5, 0.15, 0.03], len(echo) // step + 1, p=[0.3, 0.25, 0.25, 0.2])
            echo = echo * np.convolve(np.repeat(gains, step)[: len(echo)], np.full(320, 1 / 320), "same")
        return (echo * 10 ** (gain_db / 20)).astype(np.float32), float(self._rng.choice([0.04, 0.12, 0.25, 0.4, 0.55]))


def _part(samples: Samples, begin_s: float, end_s: float) -> Samples:
    """Silent but for a part."""
    part = np.zeros_like(samples)
    begin, end = round(begin_s * RATE_HERTZ), round(end_s * RATE_HERTZ)
    part[begin:end] = samples[begin:end]
    return part


def _small_loudspeaker(samples: Samples) -> Samples:
    """250 to 3600 Hz."""
    hertz = np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE_HERTZ), 1)
    gain = 1 / (1 + (250 / hertz) ** 4) / (1 + (hertz / 3600) ** 6)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples)).astype(np.float32)
