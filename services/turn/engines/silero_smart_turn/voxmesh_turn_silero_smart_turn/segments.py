"""Where speech starts and stops, from the probability of each window: thresholds and least lengths."""

from __future__ import annotations

from dataclasses import dataclass

ACTIVATION_THRESHOLD = 0.5
HYSTERESIS = 0.15
"""Speech goes on while the probability is above the threshold less this."""
MIN_SPEECH_S = 0.09
MIN_SILENCE_S = 0.2

LEAD_S = 0.03
"""Silero notices speech 0 to 45 ms after its first sound: starts are given this much earlier."""
TAIL_S = 0.05
"""Silero goes on for 55 to 80 ms after the last sound: stops are given this much earlier."""

_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Edge:
    """A start or a stop of speech, in seconds of the stream."""

    is_start: bool
    offset_s: float


class Segments:
    """Takes the probability of one window after another.

    Args:
        window_s: length of a window.
        threshold: probability above which a window holds speech.
        min_speech_s: shortest speech that counts.
        min_silence_s: silence that ends speech.
    """

    def __init__(self, window_s: float, threshold: float, min_speech_s: float, min_silence_s: float) -> None:
        self._window_s = window_s
        self._on = threshold
        self._off = max(threshold - HYSTERESIS, threshold / 10)
        self._min_speech_s = min_speech_s - _ROUNDING_S
        self._min_silence_s = min_silence_s - _ROUNDING_S
        self._windows = 0
        self._is_speech = False
        self._began_s: float | None = None
        self._voiced_until_s = 0.0
        self._last_stop_s = 0.0

    @property
    def is_speech(self) -> bool:
        """Speech has started and not stopped."""
        return self._is_speech

    @property
    def is_quiet(self) -> bool:
        """Neither speech nor what may become speech."""
        return not self._is_speech and self._began_s is None

    def push(self, probability: float) -> Edge | None:
        """Take the next window; gives the edge that it makes certain."""
        begin_s = self._windows * self._window_s
        self._windows += 1
        if probability >= self._off:
            self._voiced_until_s = begin_s + self._window_s
        if self._is_speech:
            return self._stop(probability, begin_s + self._window_s)
        return self._start(probability, begin_s)

    def _start(self, probability: float, begin_s: float) -> Edge | None:
        if probability < self._off:
            self._began_s = None
        elif probability >= self._on and self._began_s is None:
            self._began_s = begin_s
        if self._began_s is None or begin_s + self._window_s - self._began_s < self._min_speech_s:
            return None
        self._is_speech = True
        return Edge(is_start=True, offset_s=max(self._began_s - LEAD_S, self._last_stop_s))

    def _stop(self, probability: float, now_s: float) -> Edge | None:
        stop_s = max(self._voiced_until_s - TAIL_S, self._began_s or 0.0)
        if probability >= self._off or now_s - stop_s < self._min_silence_s:
            return None
        self._is_speech = False
        self._began_s = None
        self._last_stop_s = stop_s
        return Edge(is_start=False, offset_s=stop_s)
