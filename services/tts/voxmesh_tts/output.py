"""A segment's audio on its way out: resampled, encoded and cut into short messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voxmesh_runtime.audio import AudioFormat, Encoder, Resampler, Samples

MESSAGES_PER_SECOND = 10
"""A message holds at most this part of a second."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One message's audio."""

    data: bytes
    offset_s: float
    """Start, in seconds from the start of the segment's audio."""


class AudioOutput:
    """Turns one segment's samples at the model's rate into chunks in the caller's format."""

    def __init__(self, audio_format: AudioFormat, model_hertz: int) -> None:
        self._rate_hertz = audio_format.sample_rate_hertz
        self._resampler = Resampler(model_hertz, audio_format.sample_rate_hertz)
        self._encoder = Encoder(audio_format)
        self._sent = 0

    @property
    def duration_s(self) -> float:
        """Length of the chunks given so far, in seconds."""
        return self._sent / self._rate_hertz

    def chunks(self, samples: Samples) -> Iterator[Chunk]:
        """What is ready after `samples`; a resampler holds the last few milliseconds back."""
        return self._cut(self._resampler.process(samples))

    def rest(self) -> Iterator[Chunk]:
        """What was held back, at the end of the segment."""
        return self._cut(self._resampler.flush())

    def _cut(self, samples: Samples) -> Iterator[Chunk]:
        length = self._rate_hertz // MESSAGES_PER_SECOND
        for start in range(0, len(samples), length):
            part = samples[start : start + length]
            offset_s = self.duration_s
            self._sent += len(part)
            yield Chunk(self._encoder.encode(part), offset_s)
