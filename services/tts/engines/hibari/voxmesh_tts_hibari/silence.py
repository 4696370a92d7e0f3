"""Trim the silence that the model puts around a text, and put a natural pause after it."""

from __future__ import annotations

import numpy as np

from voxmesh_runtime.audio import Samples

_FRAME_S = 0.005
_AUDIBLE_RMS = 0.001
"""-60 dBFS: above the model's noise, below its softest consonants."""
_BEFORE_S = 0.02
_AFTER_S = 0.04
_LONG_PAUSE_S = 0.22
_SHORT_PAUSE_S = 0.09
_NO_PAUSE_S = 0.0
_CLOSERS = " )]}\"'\u201d\u2019"


def joined(samples: Samples, clause: str, speaking_rate: float, hertz: int) -> Samples:
    """The speech in `samples`, with the pause that `clause` asks for; empty when all is silent."""
    speech = trimmed(samples, hertz)
    if not len(speech):
        return speech
    pause_s = pause_after(clause) / speaking_rate
    return np.concatenate([speech, np.zeros(round(pause_s * hertz), np.float32)])


def trimmed(samples: Samples, hertz: int) -> Samples:
    """`samples` from shortly before the first to shortly after the last audible frame."""
    frame = round(_FRAME_S * hertz)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    audible = np.flatnonzero(np.sqrt(np.mean(np.square(frames), axis=1)) > _AUDIBLE_RMS)
    if not len(audible):
        return samples[:0]
    start = int(audible[0]) * frame - round(_BEFORE_S * hertz)
    end = (int(audible[-1]) + 1) * frame + round(_AFTER_S * hertz)
    return samples[max(0, start) : end]


def pause_after(clause: str) -> float:
    """Pause in seconds after a clause: long after a sentence, short after a comma, none where it goes on."""
    last = clause.rstrip(_CLOSERS)[-1:]
    if last in {".", "!", "?", "…"}:
        return _LONG_PAUSE_S
    return _SHORT_PAUSE_S if last in {",", ";", ":", "—"} else _NO_PAUSE_S
