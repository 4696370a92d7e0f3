"""Trim the silence around speech that comes in pieces; what `voxmesh_tts.silence.joined` does to a whole clause."""

from __future__ import annotations

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_tts.silence import audible, pause_after

NOTHING: Samples = np.zeros(0, np.float32)


_CONTEXT_S = 0.05
"""Longer than what is kept after the last sound, so that it has sound in it."""


class Trimmer:
    """Lets speech pass; silence waits until it is known whether more speech follows."""

    def __init__(self, hertz: int) -> None:
        self._hertz = hertz
        self._passed = NOTHING
        self._held = NOTHING

    def feed(self, piece: Samples) -> Samples:
        """What is speech for certain after a piece of a multiple of 5 ms."""
        known, whole = len(self._passed), np.concatenate([self._passed, self._held, piece])
        heard = audible(whole, self._hertz)
        start, stop = (known, max(known, heard.stop)) if known else (heard.start, heard.stop)
        self._held = whole[stop:]
        if stop:
            self._passed = whole[:stop][-round(_CONTEXT_S * self._hertz) :]
        return whole[start:stop]

    def end(self, clause: str) -> Samples:
        """The pause after the clause in the place of the silence that was held; none after silence alone."""
        pause_s = pause_after(clause) if len(self._passed) else 0
        return np.zeros(round(pause_s * self._hertz), np.float32)
