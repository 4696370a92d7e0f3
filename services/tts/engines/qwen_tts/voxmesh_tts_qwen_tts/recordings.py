"""Voices of recordings, taken once each; kept by a digest of what was sent, which itself is not kept."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_tts.silence import audible

T = TypeVar("T")

FIELD = "config.voice_reference"
_LEAST_SOUND_S = 0.5


class RecordedVoices(Generic[T]):
    """The last voices that were asked for.

    Args:
        take: takes the voice of samples and their transcript, which may be empty.
        most: voices that are kept.
    """

    def __init__(self, take: Callable[[Samples, str], T], most: int) -> None:
        self._take = take
        self._most = most
        self._kept: OrderedDict[bytes, T] = OrderedDict()

    def voice(self, samples: Samples, transcript: str) -> T:
        """The voice of a recording."""
        key = hashlib.sha256(samples.tobytes() + transcript.encode()).digest()
        if key not in self._kept:
            self._kept[key] = self._take(samples, transcript)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def checked(samples: Samples, hertz: int) -> Samples:
    """A recording whose voice can be taken, its peaks clipped.

    Raises:
        InvalidArgument: it holds no sound, or no numbers.
    """
    if not np.isfinite(samples).all():
        raise InvalidArgument(f"{FIELD}.audio", "holds samples that are no numbers")
    heard = audible(samples, hertz)
    if heard.stop - heard.start < _LEAST_SOUND_S * hertz:
        raise InvalidArgument(f"{FIELD}.audio", "is silent; send 3 to 30 s of one person who speaks")
    return np.clip(samples, -1.0, 1.0)
