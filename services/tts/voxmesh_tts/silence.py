"""Trim the silence that a model puts around a text, and put a natural pause after it."""

from __future__ import annotations

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_tts.punctuation import FULL_PAUSES, FULL_STOPS, PAUSES, STOPS

_FRAME_S = 0.005
_AUDIBLE_RMS = 0.001
"""-60 dBFS: above the noise of a synthesiser, below its softest consonants."""
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
    return samples[audible(samples, hertz)]


def audible(samples: Samples, hertz: int) -> slice:
    """Where `trimmed` cuts; empty when all is silent."""
    frame = round(_FRAME_S * hertz)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    heard = np.flatnonzero(np.sqrt(np.mean(np.square(frames), axis=1)) > _AUDIBLE_RMS)
    if not len(heard):
        return slice(0, 0)
    start = int(heard[0]) * frame - round(_BEFORE_S * hertz)
    end = (int(heard[-1]) + 1) * frame + round(_AFTER_S * hertz)
    return slice(max(0, start), min(end, len(samples)))


def pause_after(clause: str) -> float:
    """Pause in seconds after a clause: long after a sentence, short after a comma, none where it goes on."""
    last = clause.rstrip(_CLOSERS)[-1:]
    if last in STOPS | FULL_STOPS:
        return _LONG_PAUSE_S
    return _SHORT_PAUSE_S if last in PAUSES | FULL_PAUSES else _NO_PAUSE_S
