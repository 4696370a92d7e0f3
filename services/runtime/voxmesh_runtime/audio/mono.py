"""Several channels to one: their mean, or the loudest channel where they cancel each other out.

A stereo recording with one plug wired the wrong way round holds the same sound twice with opposite signs; its mean is
silence. Unrelated channels, such as the two parties of a call, keep their mean, in which everyone is heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from voxmesh_runtime.audio.format import Samples

Energies = npt.NDArray[np.float64]

CANCELS = 0.25
"""Channels cancel when their mean has less than this share of the energy that the mean of unrelated ones would have."""
ADDS_UP = 0.5
"""They do so no more from this share on."""
QUIET = 0.25
"""Another channel is taken when the one in use has less than this share of the loudest one's energy."""
_BLOCK_S = 0.01
_MEMORY_S = 2.0


def chosen_channel(mean: float, channels: Energies, now: int | None) -> int | None:
    """The channel to take alone, None for the mean of all.

    Args:
        mean: energy of the mean of all channels.
        channels: energy of each channel, over the same time.
        now: what was taken so far; it stays until there is a clear reason.
    """
    unrelated = float(channels.sum()) / len(channels) ** 2
    if mean >= unrelated * (CANCELS if now is None else ADDS_UP):
        return None
    loudest = int(channels.argmax())
    return loudest if now is None or channels[now] < QUIET * channels[loudest] else now


@dataclass(slots=True, eq=False)
class MonoMix:
    """Mixes one stream, chunk by chunk, equal to mixing it whole; one object a stream.

    It decides every 10 ms, by what it has heard in the last seconds before. Loud moments count more, so that a pause
    changes nothing and a word decides at once.
    """

    channel_count: int
    sample_rate_hertz: int
    _taken: int | None = None
    _block: Energies = field(init=False)
    """Energies since the last decision: of the mean, then of each channel."""
    _filled: int = 0
    _memory: Energies = field(init=False)

    def __post_init__(self) -> None:
        self._block = np.zeros(1 + self.channel_count)
        self._memory = np.zeros(1 + self.channel_count)

    def mix(self, frames: Samples) -> Samples:
        """Mono samples of interleaved ones, shape (n, channel_count)."""
        if self.channel_count == 1:
            return frames[:, 0]
        size = max(1, round(self.sample_rate_hertz * _BLOCK_S))
        pieces: list[Samples] = []
        while len(frames):
            head, frames = frames[: size - self._filled], frames[size - self._filled :]
            pieces.append(self._piece(head))
            if self._filled == size:
                self._decide()
        return np.concatenate(pieces) if pieces else np.empty(0, np.float32)

    def _piece(self, frames: Samples) -> Samples:
        mean: Samples = frames.mean(axis=1, dtype=np.float32)
        self._block[0] += np.square(mean, dtype=np.float64).sum()
        self._block[1:] += np.square(frames, dtype=np.float64).sum(axis=0)
        self._filled += len(frames)
        return mean if self._taken is None else frames[:, self._taken]

    def _decide(self) -> None:
        weight = float(self._block[1:].sum())
        self._memory = self._memory * math.exp(-_BLOCK_S / _MEMORY_S) + weight * self._block
        self._taken = chosen_channel(float(self._memory[0]), self._memory[1:], self._taken)
        self._block[:] = 0
        self._filled = 0
