"""Speech whose words can be read back from any piece of its samples, and which sounds like its speaker.

A word is noise of its own, the same whenever one speaker says it: louder and softer, higher and lower, as a voice is.
Its number stands in the low bits of the samples, 45 dB below: even samples hold the lower half, odd ones the upper.
So what recognises it understands each word however the audio was cut, sent again or spoken by another server.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

RATE_HERTZ = 16_000
"""Of microphones."""
CHARACTERS_PER_S = 14.0
"""How fast everybody speaks."""
GAP_S = 0.03
"""Silence after each word."""
PERSON = "person"
VOICE = "voice"

Pcm = npt.NDArray[np.int16]

_BITS = 6
_LOW = (1 << _BITS) - 1
_IS_UPPER = 1 << _BITS
_STEP = 2 * _IS_UPPER
"""Samples of sound are multiples of it."""
_LOUDNESS = 4000
_HOP_S = 0.02
_words: list[str] = [""]
_numbers: dict[str, int] = {"": 0}


def silence(seconds: float, rate_hertz: int = RATE_HERTZ) -> bytes:
    """Nothing, as PCM_S16LE."""
    return bytes(2 * round(seconds * rate_hertz))


def say(text: str, *, speaker: str = PERSON, rate_hertz: int = RATE_HERTZ) -> bytes:
    """A text as it is spoken, in PCM_S16LE."""
    return b"".join(spoken_word(word, speaker, rate_hertz) for word in text.split())


def cough(seconds: float = 0.4) -> bytes:
    """Loud noise without a word, as PCM_S16LE at 16 kHz."""
    return _marked(_noise("", PERSON, round(seconds * RATE_HERTZ), RATE_HERTZ), 0)


def echo(
    reply: bytes, reply_hertz: int, begin_s: float = 0.0, seconds: float | None = None, gain: float = 0.5
) -> bytes:
    """A part of reply audio as the microphone hears it, with the words that it says, as PCM_S16LE at 16 kHz."""
    samples = np.frombuffer(reply, "<i2")
    whole_s = len(samples) / reply_hertz
    count = round((min(begin_s + seconds, whole_s) if seconds is not None else whole_s) * RATE_HERTZ)
    at = np.arange(round(begin_s * RATE_HERTZ), count) * (reply_hertz / RATE_HERTZ)
    if not len(at):
        return b""
    first, last = int(at[0]), min(len(samples), int(at[-1]) + 2)
    nearby = samples[first:last]
    heard = np.interp(at - first, np.arange(len(nearby)), nearby.astype(np.float64)) * gain
    numbers = _numbers_of(nearby)[np.minimum((at - first).astype(np.int64), len(nearby) - 1)]
    return _marked(heard, numbers)


@lru_cache(maxsize=4096)
def spoken_word(word: str, speaker: str, rate_hertz: int) -> bytes:
    """One word and the silence after it; as long as its letters take."""
    number = _numbers.get(word)
    if number is None:
        number = _numbers[word] = len(_words)
        _words.append(word)
    if number >= 1 << 2 * _BITS:
        raise ValueError("more different words than the samples can tell apart")
    count = 2 * round((len(word) + 1) / CHARACTERS_PER_S * rate_hertz / 2)
    gap = 2 * round(GAP_S * rate_hertz / 2)
    return _marked(_noise(word, speaker, count - gap, rate_hertz), number) + bytes(2 * gap)


def _noise(word: str, speaker: str, count: int, rate_hertz: int) -> npt.NDArray[np.float64]:
    """Noise whose loudness changes from hop to hop, between a fifth and the whole."""
    random = np.random.default_rng(zlib.crc32(f"{speaker}:{word}".encode()))
    hops = random.uniform(0.2, 1.0, count // round(_HOP_S * rate_hertz) + 2)
    level = np.interp(np.arange(count), np.arange(len(hops)) * round(_HOP_S * rate_hertz), hops)
    return random.standard_normal(count) * level * _LOUDNESS


def _marked(sound: npt.NDArray[np.floating], numbers: int | npt.NDArray[np.int64]) -> bytes:
    """Sound with the number of the word that each sample is of in its low bits."""
    coarse = np.clip(sound, -32_000, 32_000).astype(np.int64) // _STEP * _STEP
    upper = np.arange(len(coarse)) % 2 == 1
    # Both halves of a number are of one word.
    number = np.repeat(np.broadcast_to(np.asarray(numbers), coarse.shape)[::2], 2)[: len(coarse)]
    bits = np.where(upper, (number >> _BITS) | _IS_UPPER, number & _LOW)
    marked: bytes = np.where(number > 0, coarse + bits, coarse).astype("<i2").tobytes()
    return marked


def _numbers_of(samples: Pcm) -> npt.NDArray[np.int64]:
    """The number of the word that each sample is of; 0 where it is of none."""
    wide = samples.astype(np.int64)
    upper = (wide & _IS_UPPER) > 0
    numbers = np.zeros(len(wide), np.int64)
    if len(wide) > 1:
        pairs = ~upper[:-1] & upper[1:]
        found = np.where(pairs, (wide[:-1] & _LOW) | ((wide[1:] & _LOW) << _BITS), 0)
        numbers[:-1] = found
        numbers[1:] = np.maximum(numbers[1:], found)
        # A piece may begin or end between the two halves of a number.
        for edge, beside in ((0, 1), (-1, -2)):
            if numbers[edge] == 0 and wide[edge]:
                numbers[edge] = numbers[beside]
    return numbers


@dataclass(slots=True)
class Hearing:
    """What is said in a stream of PCM_S16LE, as far as it has come."""

    words: list[str] = field(default_factory=list[str])
    """Words that are complete."""
    current: str = ""
    """The word that is being said."""

    @property
    def text(self) -> str:
        """All words, the one that is being said too."""
        return " ".join([*self.words, self.current]).strip()

    def feed(self, data: bytes) -> None:
        """The next piece of audio."""
        if not data.strip(b"\0"):
            self.flush()
            return
        for number in _runs(_numbers_of(np.frombuffer(data, "<i2"))):
            if (word := _words[number]) != self.current:
                self.flush()
                self.current = word

    def flush(self) -> None:
        """No more of the word that is being said will come."""
        if self.current:
            self.words.append(self.current)
        self.current = ""

    def take(self) -> str:
        """The words that are complete, which are forgotten."""
        text, self.words = " ".join(self.words), []
        return text


def heard_in(audio: bytes) -> str:
    """All that is said in PCM_S16LE."""
    hearing = Hearing()
    hearing.feed(audio)
    hearing.flush()
    return hearing.take()


def loud_blocks(data: bytes, block_samples: int) -> Iterator[bool]:
    """For each block of PCM_S16LE, whether there is sound in it; the last one may be shorter."""
    loud = np.abs(np.frombuffer(data, "<i2").astype(np.int32)) >= _STEP
    for begin in range(0, len(loud), block_samples):
        yield bool(loud[begin : begin + block_samples].any())


def _runs(numbers: npt.NDArray[np.int64]) -> Iterable[int]:
    if not len(numbers):
        return []
    changes = np.flatnonzero(np.diff(numbers)) + 1
    return numbers[np.concatenate([[0], changes])].tolist()
