"""When, by the wall clock, each moment of the microphone's audio arrived."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

KEPT_S = 60.0


class AudioClock:
    """Maps offsets of a stream's audio, in seconds, to wall-clock times in nanoseconds.

    The audio that it is told of begins at `offset_s`.
    """

    def __init__(self, offset_s: float = 0.0) -> None:
        self._arrivals: deque[tuple[float, int]] = deque()
        self.offset_s = offset_s

    def arrived(self, duration_s: float, time_ns: int) -> None:
        """The next `duration_s` of audio arrived at `time_ns`."""
        self.offset_s += duration_s
        self._arrivals.append((self.offset_s, time_ns))
        while self._arrivals[0][0] < self.offset_s - KEPT_S:
            self._arrivals.popleft()

    def time_ns(self, offset_s: float) -> int | None:
        """When the audio up to `offset_s` was there; None when it never came.

        Audio that came faster than it was spoken arrived when it arrived.
        """
        index = bisect_left(self._arrivals, offset_s, key=lambda arrival: arrival[0])
        if index == len(self._arrivals):
            return self._arrivals[-1][1] if self._arrivals else None
        return self._arrivals[index][1]
