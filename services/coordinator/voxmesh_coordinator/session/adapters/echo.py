"""Whether speech over a reply is the reply itself, back through the microphone: by sound, whatever was understood.

Of an echo a recogniser often makes other words. Its spectrogram tells: room and loudspeaker change how loud each
frequency is, not when it rises and falls, nor the pitch. So the microphone's is laid beside that of the reply that
was sent, shifted by each delay that an echo may have, and each frequency counts by how it varies.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from voxmesh_coordinator.turn.overlap import Source
from voxmesh_runtime.audio import Samples

Spectrogram = npt.NDArray[np.float32]
"""Decibels, shape (frames, frequencies)."""

WINDOW_S = 0.04
HOP_S = 0.02
FREQUENCIES = slice(6, 100)
"""150 to 2500 Hz in steps of 1 / WINDOW_S: the pitch of parts and what every phone's loudspeaker gives."""
DEPTH_DB = 25.0
"""What is so far below the loudest of its frequency says nothing more."""
LOUD_DB = 20.0
"""Frames so far below the loudest are left out."""
ABOVE_NOISE_DB = 3.0
QUIET_PERCENT = 10.0

SPEECH_S = 0.8
"""The latest speech that is judged, in seconds: enough to be sure, and short enough for one word after an echo."""
NOISE_S = 3.0
"""Audio that tells the microphone's noise, in seconds."""
LEAD_S = 0.1
LATEST_S, EARLIEST_S = 1.0, -0.3
"""Delays from where the client is thought to be in the reply to the microphone, in seconds."""
ECHO_LIKENESS = 0.42
"""From there on it is an echo. Of 116 scenes of echo, as loud as a person or up to 24 dB below, 6 interrupted with it;
by words alone 92 did: `python -m benchmarks echo`."""
CERTAIN_LIKENESS, OTHER_LIKENESS = 0.6, 0.3
"""One word of a person is between these by chance; a longer sentence is not."""
LEAST_S, ENOUGH_S, SURE_S = 0.1, 0.3, 0.4
"""Loud frames, in seconds: too few to tell, enough while more are coming, enough to be sure that it is no echo."""


def weigh(alike: float, loud_s: float, *, is_over: bool, is_followed: bool) -> Source:
    """What a likeness says.

    Args:
        alike: to the reply, as `likeness` gives it.
        loud_s: seconds of loud frames that it rests on.
        is_over: the speech has paused; else more of it may come.
        is_followed: it is known where the client is in the reply.
    """
    if loud_s < ENOUGH_S and not is_over:
        return Source.TOO_SHORT
    if loud_s < LEAST_S:
        return Source.UNCLEAR
    if alike >= ECHO_LIKENESS:
        return Source.REPLY if alike >= CERTAIN_LIKENESS else Source.LIKELY_REPLY
    return Source.PERSON if alike < OTHER_LIKENESS and loud_s >= SURE_S and is_followed else Source.UNCLEAR


def spectrogram(samples: Samples, sample_rate_hertz: int) -> Spectrogram:
    """A frame of WINDOW_S every HOP_S; none of audio that is shorter than one."""
    size, hop = round(WINDOW_S * sample_rate_hertz), round(HOP_S * sample_rate_hertz)
    if len(samples) < size:
        return np.zeros((0, FREQUENCIES.stop - FREQUENCIES.start), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * np.hanning(size).astype(np.float32)
    power = np.abs(np.fft.rfft(frames / size)[:, FREQUENCIES]) ** 2
    return (10 * np.log10(power + 1e-14)).astype(np.float32)


def likeness(heard: Spectrogram, since: int, said: Spectrogram) -> tuple[float, float]:
    """How alike the microphone's audio is to a part of the reply of the same length: a correlation.

    Args:
        heard: of the microphone.
        since: the frame in it from which it is compared; those before tell the noise.
        said: of the reply, longer by the delays that are tried.

    Returns:
        The highest correlation of all delays, in [-1, 1], and the seconds of loud frames it rests on.
    """
    speech = heard[since:]
    if not len(speech):
        return 0.0, 0.0
    noise, level = _noise(heard), _level(speech)
    loud = level > max(level.max() - LOUD_DB, float(_level(noise)) + ABOVE_NOISE_DB)
    loud_s = float(loud.sum()) * HOP_S
    if not loud.any() or len(said) < len(speech):
        return 0.0, loud_s
    depth = np.clip(speech[loud].max(axis=0) - noise - ABOVE_NOISE_DB, 0.0, DEPTH_DB)[:, np.newaxis]
    ear = _variation(speech[loud].T, depth)
    shifted = np.lib.stride_tricks.sliding_window_view(said, len(speech), axis=0)[:, :, loud]
    mouth = _variation(shifted, depth)
    norms = np.sqrt((mouth**2).sum(axis=(1, 2)) * (ear**2).sum())
    return float(((mouth * ear).sum(axis=(1, 2)) / np.maximum(norms, 1e-6)).max()), loud_s


def _noise(heard: Spectrogram) -> npt.NDArray[np.floating]:
    """Of each frequency, the mean over the quietest frames."""
    level = _level(heard)
    quiet = heard[level <= np.percentile(level, QUIET_PERCENT)]
    return 10 * np.log10((10 ** (quiet / 10)).mean(axis=0))


def _level(decibels: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Of all frequencies together."""
    return 10 * np.log10((10 ** (decibels / 10)).sum(axis=-1))


def _variation(decibels: npt.NDArray[np.floating], depth: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """How each frequency rises above and falls below its mean, along the last axis, down to `depth` below its peak."""
    cut = np.maximum(decibels, decibels.max(axis=-1, keepdims=True) - depth)
    return cut - cut.mean(axis=-1, keepdims=True)
