"""Mu-law and A-law as tables, built from the definition in ITU-T G.711."""

import numpy as np
import numpy.typing as npt

from voxmesh_runtime.audio.format import Encoding, Samples

_FULL_SCALE = 32768.0
_MULAW_BIAS = 132
_ALAW_INVERTED_BITS = 0x55


def _mulaw_levels() -> npt.NDArray[np.int32]:
    # Every bit is sent inverted: sign, 3 bits of segment, 4 bits of step.
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    segment, step = (code >> 4) & 0x07, code & 0x0F
    magnitude = (((step << 3) + _MULAW_BIAS) << segment) - _MULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int32)


def _alaw_levels() -> npt.NDArray[np.int32]:
    # Every other bit is sent inverted; a set sign bit means positive.
    code = np.arange(256, dtype=np.int32) ^ _ALAW_INVERTED_BITS
    segment, step = (code >> 4) & 0x07, code & 0x0F
    linear = (step << 4) + 8
    magnitude = np.where(segment == 0, linear, (linear + 256) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int32)


class Companding:
    """One of the two laws: 8-bit codes to samples and the nearest code back."""

    def __init__(self, levels: npt.NDArray[np.int32]) -> None:
        self._decoded: Samples = (levels / _FULL_SCALE).astype(np.float32)
        order = np.argsort(levels, kind="stable")
        # Of mu-law's two zeros the later code is the positive one, which silence is sent as.
        ascending = levels[order]
        last_of_level = np.append(ascending[1:] != ascending[:-1], True)
        self._codes = order[last_of_level].astype(np.uint8)
        unique = self._decoded[self._codes]
        self._thresholds: Samples = (unique[1:] + unique[:-1]) / np.float32(2)

    def decode(self, codes: npt.NDArray[np.uint8]) -> Samples:
        """Samples of 8-bit codes, any shape."""
        return self._decoded[codes]

    def encode(self, samples: Samples) -> npt.NDArray[np.uint8]:
        """Code of the nearest level; louder than full scale becomes full scale."""
        return self._codes[np.searchsorted(self._thresholds, samples)]


LAWS = {Encoding.MULAW: Companding(_mulaw_levels()), Encoding.ALAW: Companding(_alaw_levels())}
