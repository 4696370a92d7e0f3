"""From the model's own durations to the place of each word in the audio."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from voxmesh_tts.engine import SpokenWord
from voxmesh_tts_kokoro.backend import FRAME_S, Spoken
from voxmesh_tts_kokoro.reading import Reading

_HEARD_EARLIER_S = 0.075
"""The model counts the onset of a sound to what comes before it; kokoro itself corrects by three frames."""


def timed(reading: Reading, spoken: Spoken, cut_s: float, duration_s: float, offset_s: float) -> Iterator[SpokenWord]:
    """The words of a piece; nothing if its durations are not known.

    Args:
        reading: the piece's phonemes and words.
        spoken: what the model made of it.
        cut_s: how much of its beginning is not played.
        duration_s: how much is played.
        offset_s: of the piece in the clause.
    """
    if spoken.frames is None:
        return
    # The first mark's frames come before the first phoneme.
    ends_s = np.cumsum(spoken.frames) * FRAME_S - _HEARD_EARLIER_S - cut_s
    bounds_s = np.clip(ends_s, 0.0, duration_s) + offset_s
    for word in reading.words:
        yield SpokenWord(word.text, float(bounds_s[word.start]), float(bounds_s[word.end]))
