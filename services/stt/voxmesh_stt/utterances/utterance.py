"""The audio of one utterance: from just before its first voiced frame to where it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_stt.utterances.voice import FRAME_SAMPLES

SAMPLE_RATE_HERTZ = 16000
FRAMES_PER_S = SAMPLE_RATE_HERTZ / FRAME_SAMPLES
LEAD_FRAMES = 10
"""Frames kept from before the first voiced one: soft consonants lie there."""
MIN_VOICED_FRAMES = 3
"""Fewer voiced frames are a click."""

_CUT_WITHIN_FRAMES = round(5 * FRAMES_PER_S)


@dataclass(slots=True)
class Utterance:
    """Frames of 512 samples with whether each is voiced; bounded by its owner."""

    tail_frames: int
    """Unvoiced frames kept after the last voiced one; more silence changes nothing in what is decoded."""
    frames: list[Samples] = field(default_factory=list[Samples])
    voiced: list[bool] = field(default_factory=list[bool])
    voiced_end: int = 0
    """Index after the last voiced frame; 0 when there is none."""
    voiced_count: int = 0

    def add(self, frame: Samples, *, is_voiced: bool) -> None:
        """Append a frame; before speech only the lead is kept."""
        self.frames.append(frame)
        self.voiced.append(is_voiced)
        if is_voiced:
            self.voiced_end = len(self.frames)
            self.voiced_count += 1
        elif not self.voiced_end and len(self.frames) > LEAD_FRAMES:
            del self.frames[0], self.voiced[0]

    @property
    def has_speech(self) -> bool:
        """Enough was voiced to be worth decoding."""
        return self.voiced_count >= MIN_VOICED_FRAMES

    @property
    def silent_frames(self) -> int:
        """Frames since the last voiced one; 0 before speech."""
        return len(self.frames) - self.voiced_end if self.voiced_end else 0

    @property
    def is_settled(self) -> bool:
        """The tail is complete: more silence leaves `speech()` as it is."""
        return self.silent_frames >= self.tail_frames

    @property
    def speech_frames(self) -> int:
        """Frames of speech with its tail as far as it came."""
        return min(len(self.frames), self.voiced_end + self.tail_frames)

    def speech(self) -> Samples:
        """The audio to decode."""
        return np.concatenate(self.frames[: self.speech_frames])

    def cut(self) -> Utterance:
        """Give up everything before the quietest place of the last seconds, and keep the rest.

        Returns:
            What was given up, to be decoded.
        """
        begin = max(1, len(self.frames) - _CUT_WITHIN_FRAMES)
        loudness = [float(np.dot(frame, frame)) for frame in self.frames[begin:]]
        smooth = np.convolve(loudness, np.ones(3), mode="valid")
        at = begin + 1 + int(np.argmin(smooth))
        head = self._of(self.frames[:at], self.voiced[:at])
        rest = self._of(self.frames[at:], self.voiced[at:])
        self.frames, self.voiced = rest.frames, rest.voiced
        self.voiced_end, self.voiced_count = rest.voiced_end, rest.voiced_count
        return head

    def _of(self, frames: list[Samples], voiced: list[bool]) -> Utterance:
        end = max((index + 1 for index, is_voiced in enumerate(voiced) if is_voiced), default=0)
        return Utterance(self.tail_frames, frames, voiced, end, sum(voiced))
