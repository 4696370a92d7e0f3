"""A spoken question as a microphone gives it: 20 ms frames in real time, then silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxmesh_client.sound import Pacer, pcm, samples_of, silence
from voxmesh_runtime.audio import AudioFile, Encoder

FRAME_S = 0.02
QUESTION = Path(__file__).parent.parent / "demo" / "question.wav"
PATIENCE_S = 30.0
"""Silence after which no answer is expected any more."""

_SPEECH_DB = -35.0
"""Frames this far below the loudest one are silence."""


class NotAnswered(Exception):
    """Nobody answered the question."""


@dataclass(frozen=True, slots=True)
class Question:
    """Frames of PCM_S16LE."""

    frames: tuple[bytes, ...]
    sample_rate_hertz: int
    last_speech_frame: int
    """The frame in which speech ends, by loudness; no detector is asked."""

    @classmethod
    def read(cls, path: Path) -> Question:
        """A question from an audio file.

        Raises:
            AudioFileError: the file cannot be read.
        """
        with AudioFile(path) as file:
            encoder = Encoder(pcm(file.sample_rate_hertz))
            return cls._of_frames([encoder.encode(block) for block in file.blocks(FRAME_S)], file.sample_rate_hertz)

    @classmethod
    def of(cls, audio: bytes, sample_rate_hertz: int) -> Question:
        """A question from PCM_S16LE."""
        size = 2 * round(FRAME_S * sample_rate_hertz)
        frames = [audio[begin : begin + size] for begin in range(0, len(audio), size)]
        return cls._of_frames(frames, sample_rate_hertz)

    @classmethod
    def _of_frames(cls, frames: Sequence[bytes], sample_rate_hertz: int) -> Question:
        levels = np.array([np.sqrt(np.mean(samples_of(frame) ** 2)) for frame in frames])
        loud = np.flatnonzero(levels > levels.max() * 10 ** (_SPEECH_DB / 20))
        return cls(tuple(frames), sample_rate_hertz, int(loud[-1]))


class Speaker:
    """Says one question; `speech_ended_ns` is when the end of its speech was sent, by the wall clock."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self.speech_ended_ns = 0

    async def speak(self, send: Callable[[bytes], Awaitable[None]], answered: asyncio.Event) -> None:
        """Send the question in real time, then silence until it is answered.

        Raises:
            NotAnswered: it took longer than PATIENCE_S.
        """
        question, pacer = self._question, Pacer(FRAME_S)
        quiet = silence(question.sample_rate_hertz, FRAME_S)
        for index in range(len(question.frames) + round(PATIENCE_S / FRAME_S)):
            await pacer.wait()
            if answered.is_set():
                return
            if index == question.last_speech_frame:
                self.speech_ended_ns = time.time_ns()
            await send(question.frames[index] if index < len(question.frames) else quiet)
        raise NotAnswered(f"no answer within {PATIENCE_S:g} s")
