"""The microphone's audio in one place: what came when, where it lies, and which of it is still needed.

Whoever needs audio again keeps a place in it, in seconds, and no audio: the recogniser's replay what it owes an answer
to, the turn detector's where the turn before ended, `Retention` what another replica would need.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from voxmesh.session.v1 import session_pb2
from voxmesh_runtime.audio import AudioFormat, Decoder, Samples

KEPT_S = 60.0
"""Latest audio that is kept, in seconds."""
KEPT_BYTES = 8 * 1024 * 1024
"""The same in bytes: a minute of all that people send as speech, less of what is as fine as music."""
ROUNDING_S = 0.001
"""More than rounding moves an offset, and less than the shortest piece of audio, in seconds."""
LATE_S = 10.0
"""A service reports speech at most so late, in seconds of audio."""
LEAD_S = 1.0
"""Audio before the start of speech that lets it be found again, in seconds."""


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
        place: where it begins, and the sequence of its first piece.
    """

    def __init__(self, audio_format: AudioFormat, place: session_pb2.Microphone) -> None:
        self.sample_rate_hertz = audio_format.sample_rate_hertz
        self.next_sequence = place.next_sequence
        self.end_s = place.offset_s
        self._bytes_per_s = audio_format.bytes_per_frame * audio_format.sample_rate_hertz
        self._decoder = Decoder(audio_format, "audio.data", max_chunk_bytes=KEPT_BYTES)
        self._pieces = deque[Piece]()
        self._bytes = 0

    def add(self, data: bytes, arrived_ns: int) -> Piece:
        """The next piece came."""
        piece = Piece(self.next_sequence, self.end_s, self.end_s + self._seconds(data), arrived_ns, data)
        self.next_sequence, self.end_s = piece.sequence + 1, piece.end_s
        self._pieces.append(piece)
        self._bytes += len(data)
        while self._pieces[0].end_s <= self.end_s - KEPT_S or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._pieces.popleft().data)
        return piece

    def skip_to(self, sequence: int, data: bytes) -> None:
        """What comes before this piece is lost; each of it was as long as this one."""
        self.end_s += (sequence - self.next_sequence) * self._seconds(data)
        self.next_sequence = sequence

    def since(self, offset_s: float) -> list[Piece]:
        """The pieces that end after a moment, as far as they are kept."""
        found = list[Piece]()
        for piece in reversed(self._pieces):
            if piece.end_s <= offset_s:
                break
            found.append(piece)
        return found[::-1]

    def time_ns(self, offset_s: float) -> int | None:
        """When the audio up to a moment was there, by the wall clock; None when none came.

        Audio that came faster than it was spoken arrived when it arrived.
        """
        arrived_ns: int | None = None
        for piece in reversed(self._pieces):
            if arrived_ns is not None and piece.end_s < offset_s:
                break
            arrived_ns = piece.arrived_ns
        return arrived_ns

    def samples(self, begin_s: float, end_s: float) -> Samples:
        """The samples from one moment to another, as far as they are kept."""
        pieces = [piece for piece in self.since(begin_s) if piece.begin_s < end_s]
        if not pieces:
            return np.zeros(0, np.float32)
        samples = self._decoder.decode(b"".join(piece.data for piece in pieces))
        first, last = ((each - pieces[0].begin_s) * self.sample_rate_hertz for each in (begin_s, end_s))
        return samples[max(0, round(first)) : round(last)]

    def place(self, needed_s: float) -> session_pb2.Microphone:
        """The first piece that holds something after a moment."""
        for piece in self.since(needed_s):
            return session_pb2.Microphone(next_sequence=piece.sequence, offset_s=piece.begin_s)
        return session_pb2.Microphone(next_sequence=self.next_sequence, offset_s=self.end_s)

    def _seconds(self, data: bytes) -> float:
        return len(data) / self._bytes_per_s


class Retention:
    """Which audio another replica would need: that of the turn in progress, else what just came."""

    def __init__(self, timeline: AudioTimeline) -> None:
        self._timeline = timeline
        self._floor_s = timeline.end_s
        self._held_s: float | None = None
        self._turn_end_s: float | None = None

    def turn_began(self, offset_s: float) -> None:
        """Somebody speaks: from a little before that on all is needed."""
        if self._held_s is None:
            self._held_s = max(self._floor_s, offset_s - LEAD_S)
        self._turn_end_s = None

    def turn_ended(self, offset_s: float) -> None:
        """Nobody speaks any more since `offset_s`; the turn's audio is needed until it is settled."""
        self._turn_end_s = offset_s

    def settle(self) -> None:
        """What was said up to the end of the last turn is kept in words, or was nothing."""
        if self._turn_end_s is not None:
            self._floor_s = max(self._floor_s, self._turn_end_s)
            self._held_s = self._turn_end_s = None

    def place(self) -> session_pb2.Microphone:
        """The first piece of audio that is needed."""
        if self._held_s is None:
            self._floor_s = max(self._floor_s, self._timeline.end_s - LATE_S)
        return self._timeline.place(self._held_s if self._held_s is not None else self._floor_s)
