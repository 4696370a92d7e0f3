"""Which of the microphone's audio another replica would need: that of the turn in progress, and what just came."""

from __future__ import annotations

from collections import deque

from voxmesh.session.v1 import session_pb2

LATE_S = 10.0
"""Speech is told of at most so late, in seconds of audio."""
LEAD_S = 1.0
"""Audio before the start of speech that lets it be found again, in seconds."""
LONGEST_S = 60.0
"""Audio of one turn that is ever heard again, in seconds."""


class AudioRetention:
    """Moves on while nobody speaks and when a turn is settled, and stays while one is in progress.

    Args:
        place: where another replica's stood.
    """

    def __init__(self, place: session_pb2.Microphone) -> None:
        self._next_sequence = place.next_sequence
        self._begin_s = place.offset_s
        self._end_s = place.offset_s
        self._floor_s = place.offset_s
        self._held_s: float | None = None
        self._turn_end_s: float | None = None
        self._chunks: deque[tuple[int, float]] = deque()

    def arrived(self, sequence: int, end_s: float) -> None:
        """The next piece of audio, by where it ends."""
        self._chunks.append((sequence, end_s))
        self._end_s = end_s

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
            self._floor_s = max(self._floor_s, self._end_s - LATE_S)
        needed_s = max(self._held_s if self._held_s is not None else self._floor_s, self._end_s - LONGEST_S)
        while self._chunks and self._chunks[0][1] <= needed_s:
            sequence, self._begin_s = self._chunks.popleft()
            self._next_sequence = sequence + 1
        return session_pb2.Microphone(next_sequence=self._next_sequence, offset_s=self._begin_s)
