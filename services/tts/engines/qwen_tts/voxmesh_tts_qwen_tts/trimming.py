"""Trim the silence around speech that comes in pieces; what `voxmesh_tts.silence.joined` does to a whole clause."""

from __future__ import annotations

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_tts.silence import audible, pause_after

NOTHING: Samples = np.zeros(0, np.float32)


class Trimmer:
    """Lets speech pass; silence waits until it is known whether more speech follows."""

    def __init__(self, hertz: int) -> None:
        self._hertz = hertz
        self._begun = False
        self._held = NOTHING

    def feed(self, piece: Samples) -> Samples:
        """What is speech for certain after a piece of a multiple of 5 ms."""
        whole = np.concatenate([self._held, piece])
        heard = audible(whole, self._hertz)
        if heard.stop == 0:
            self._held = whole
            return NOTHING
        start, self._begun = 0 if self._begun else heard.start, True
        self._held = whole[heard.stop :]
        return whole[start : heard.stop]

    def end(self, clause: str) -> Samples:
        """The pause after the clause in the place of the silence that was held; none after silence alone."""
        return np.zeros(round(pause_after(clause) * self._hertz) if self._begun else 0, np.float32)
