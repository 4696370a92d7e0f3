"""Whether speech over a reply is the reply itself, back through the microphone: by sound, whatever was understood.

Of an echo a recogniser often makes other words. Its spectrogram tells: room and loudspeaker change how loud each
frequency is, not when it rises and falls, nor the pitch. So the microphone's is laid beside that of the reply that
was sent, shifted by each delay that an echo may have, and each frequency counts by how it varies.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

import numpy as np
import numpy.typing as npt

from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker
from voxmesh_coordinator.turn.user_turn import UserTurn
from voxmesh_runtime.audio import AudioFormat, Decoder, Samples

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
KEPT_S = 60.0
"""Reply audio that is kept, in seconds: as much as a client may have before it."""

ECHO_LIKENESS = 0.42
"""From there on it is an echo. Of 116 scenes of echo, as loud as a person or up to 24 dB below, 6 interrupted with it;
by words alone 92 did: `python -m benchmarks echo`."""
CERTAIN_LIKENESS, OTHER_LIKENESS = 0.6, 0.3
"""One word of a person is between these by chance; a longer sentence is not."""
LEAST_S, ENOUGH_S, SURE_S = 0.1, 0.3, 0.4
"""Loud frames, in seconds: too few to tell, enough while more are coming, enough to be sure that it is no echo."""


class Source(Enum):
    """Whose voice the microphone hears over a reply."""

    REPLY = "reply"
    LIKELY_REPLY = "likely reply"
    """As like it as a short word may be by chance."""
    PERSON = "person"
    TOO_SHORT = "too short"
    """More of it will tell."""
    UNCLEAR = "unclear"


class SentAudio:
    """The latest reply's audio, by its place in the reply.

    Args:
        audio_format: of the pieces.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self.sample_rate_hertz = audio_format.sample_rate_hertz
        self._decoder = Decoder(audio_format, "reply_audio", max_chunk_bytes=2**31)
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._turn_index = -1

    def add(self, turn_index: int, offset_s: float, data: bytes) -> None:
        """The next piece of a turn's reply was sent."""
        if turn_index != self._turn_index:
            self._turn_index = turn_index
            self._pieces.clear()
        if data:
            self._pieces.append((offset_s, data))
        while self._pieces and self._pieces[0][0] < offset_s - KEPT_S:
            self._pieces.popleft()

    def between(self, begin_s: float, end_s: float) -> Samples | None:
        """The reply's samples, zeros where there are none; None when what was sent there is not known."""
        if not self._pieces or max(begin_s, 0.0) < self._pieces[0][0]:
            return None
        rate = self.sample_rate_hertz
        samples = np.zeros(round((end_s - begin_s) * rate), np.float32)
        for offset_s, data in self._pieces:
            at = round((offset_s - begin_s) * rate)
            if at >= len(samples):
                break
            piece = self._decoder.decode(data)[max(0, -at) :]
            at = max(0, at)
            samples[at : at + len(piece)] = piece[: len(samples) - at]
        return samples


def classify_speaker(turn: UserTurn, microphone: Microphone, playout: PlayoutTracker, sent: SentAudio) -> Source:
    """Whose voice a turn over a reply is by now.

    That it is a person's is sure only while the client tells where it is in the reply.
    """
    now_s = microphone.timeline.end_s
    end_s = now_s if turn.pause is None else min(now_s, turn.pause.offset_s + microphone.pause_s)
    begin_s = max(turn.began_s - LEAD_S, end_s - SPEECH_S)
    # Where the client was in the reply at second 0 of the microphone.
    shift_s = playout.sounding_s() - now_s
    said = sent.between(begin_s + shift_s - LATEST_S, end_s + shift_s - EARLIEST_S)
    if said is None:
        return Source.UNCLEAR
    heard = spectrogram(microphone.timeline.samples(end_s - NOISE_S, end_s), microphone.timeline.sample_rate_hertz)
    since = max(0, len(heard) - round((end_s - begin_s) / HOP_S))
    alike, loud_s = likeness(heard, since, spectrogram(said, sent.sample_rate_hertz))
    return weigh(alike, loud_s, is_over=turn.pause is not None, is_followed=playout.is_followed)


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
