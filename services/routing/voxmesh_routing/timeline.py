"""A caller's audio in one place: what came when, and where it lies.

Whoever needs audio again keeps a place in it, in seconds, and no audio: a recogniser's replay up to where there are
final words, a turn detector's where the turn before ended.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import islice

import numpy as np

from voxmesh_runtime.audio import AudioFormat, Decoder, Samples

KEPT_S = 60.0
"""Latest audio that is kept, in seconds."""
KEPT_BYTES = 8 * 1024 * 1024
"""The same in bytes: a minute of all that people send as speech, less of what is as fine as music."""
ROUNDING_S = 0.001
"""More than rounding moves an offset, and less than the shortest piece of audio, in seconds."""
LATE_S = 10.0
"""A service reports speech at most so late, in seconds of audio."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A message of audio, by its place in seconds."""

    sequence: int
    begin_s: float
    end_s: float
    arrived_ns: int
    data: bytes


class AudioTimeline:
    """The latest audio, piece by piece.

    Args:
        audio_format: of the pieces.
        next_sequence: of its first piece.
        offset_s: where that begins.
    """

    def __init__(self, audio_format: AudioFormat, next_sequence: int = 0, offset_s: float = 0.0) -> None:
        self.sample_rate_hertz = audio_format.sample_rate_hertz
        self.next_sequence, self.end_s = next_sequence, offset_s
        self._bytes_per_s = audio_format.bytes_per_frame * audio_format.sample_rate_hertz
        self._decoder = Decoder(audio_format, "audio.data", max_chunk_bytes=KEPT_BYTES)
        self._pieces = deque[Piece]()
        self._ends_s = deque[float]()
        self._bytes = 0

    def add(self, data: bytes, arrived_ns: int) -> Piece:
        """The next piece came."""
        piece = Piece(self.next_sequence, self.end_s, self.end_s + self._seconds(data), arrived_ns, data)
        self.next_sequence, self.end_s = piece.sequence + 1, piece.end_s
        self._pieces.append(piece)
        self._ends_s.append(piece.end_s)
        self._bytes += len(data)
        while self._ends_s[0] <= self.end_s - KEPT_S or self._bytes > KEPT_BYTES:
            self._ends_s.popleft()
            self._bytes -= len(self._pieces.popleft().data)
        return piece

    def skip_to(self, sequence: int, data: bytes) -> None:
        """What comes before this piece is lost; each of it was as long as this one."""
        self.end_s += (sequence - self.next_sequence) * self._seconds(data)
        self.next_sequence = sequence

    def since(self, offset_s: float) -> list[Piece]:
        """The pieces that end after a moment, as far as they are kept."""
        return list(islice(self._pieces, bisect_right(self._ends_s, offset_s), None))

    def first_after(self, offset_s: float) -> Piece | None:
        """The first of them; None when there is none."""
        index = bisect_right(self._ends_s, offset_s)
        return self._pieces[index] if index < len(self._pieces) else None

    def time_ns(self, offset_s: float) -> int | None:
        """When the audio up to a moment was there, by the wall clock; None when none came.

        Audio that came faster than it was spoken arrived when it arrived.
        """
        if not self._pieces:
            return None
        return self._pieces[min(bisect_left(self._ends_s, offset_s), len(self._pieces) - 1)].arrived_ns

    def samples(self, begin_s: float, end_s: float) -> Samples:
        """The samples from one moment to another, as far as they are kept."""
        pieces = [piece for piece in self.since(begin_s) if piece.begin_s < end_s]
        if not pieces:
            return np.zeros(0, np.float32)
        samples = self._decoder.decode(b"".join(piece.data for piece in pieces))
        first, last = ((each - pieces[0].begin_s) * self.sample_rate_hertz for each in (begin_s, end_s))
        return samples[max(0, round(first)) : round(last)]

    def _seconds(self, data: bytes) -> float:
        return len(data) / self._bytes_per_s
