"""The simulated microphone: sounds placed on its clock, and a quiet room between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from voxmesh_client.bench.conversations.sounds import MICROPHONE_HERTZ, Sound
from voxmesh_runtime.audio import Samples

FRAME_S = 0.02
FRAME = round(FRAME_S * MICROPHONE_HERTZ)
_ROOM_DB = -70.0
"""Noise of the room, against full scale."""
_SEED = 7


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line laid out in samples, relative to its first voiced one."""

    parts: tuple[tuple[int, Samples], ...]
    """Where each sound begins, silence before its voice included."""
    lead: int
    """Samples before the first voiced one."""
    length: int
    """First to last voiced sample."""
    text: str


def lay_out(line: Sequence[str | float], sounds: Callable[[str], Sound], gain_db: float = 0.0) -> Spoken:
    """Sounds with exact silences between the last voiced sample of one and the first of the next."""
    gain = np.float32(10 ** (gain_db / 20))
    parts: list[tuple[int, Samples]] = []
    texts: list[str] = []
    at = lead = 0
    for each in line:
        if not isinstance(each, str):
            at += round(each * MICROPHONE_HERTZ)
            continue
        sound = sounds(each)
        lead = lead if parts else sound.begin
        parts.append((at - sound.begin, sound.samples * gain))
        texts.append(sound.text)
        at += sound.end - sound.begin
    return Spoken(tuple(parts), lead, at, " ".join(filter(None, texts)))


class Microphone:
    """Gives frame after frame of what was placed on it."""

    def __init__(self) -> None:
        self._placed: list[tuple[int, Samples]] = []
        noise = np.random.default_rng(_SEED).standard_normal(MICROPHONE_HERTZ) * 10 ** (_ROOM_DB / 20)
        self._room: Samples = noise.astype(np.float32)
        self.position = 0
        """Samples given so far."""

    @property
    def now_s(self) -> float:
        """Seconds given so far."""
        return self.position / MICROPHONE_HERTZ

    def place(self, spoken: Spoken, after_s: float) -> tuple[float, float]:
        """Let a line's voice begin at a second, or at once when that has passed; gives its onset and end."""
        onset = max(round(after_s * MICROPHONE_HERTZ), self.position + spoken.lead)
        self._placed += [(onset + at, samples) for at, samples in spoken.parts]
        return onset / MICROPHONE_HERTZ, (onset + spoken.length) / MICROPHONE_HERTZ

    def frame(self, extra: Samples | None = None) -> bytes:
        """The next 20 ms as PCM_S16LE, with `extra` mixed in."""
        begin, end = self.position, self.position + FRAME
        mixed = np.roll(self._room, -(begin % MICROPHONE_HERTZ))[:FRAME].copy()
        for at, samples in self._placed:
            first, last = max(begin, at), min(end, at + samples.size)
            if first < last:
                mixed[first - begin : last - begin] += samples[first - at : last - at]
        if extra is not None:
            mixed += extra
        self._placed = [(at, samples) for at, samples in self._placed if at + samples.size > end]
        self.position = end
        return (np.clip(mixed, -1, 1) * 32767).astype("<i2").tobytes()
