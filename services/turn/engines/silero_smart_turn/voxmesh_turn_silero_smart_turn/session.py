"""All state of one stream: windows for Silero, edges of speech, and the turn's audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.outcomes import Outcome, applied, approximated
from voxmesh_turn.engine import DetectionOptions, Event, SpeechStarted, SpeechStopped
from voxmesh_turn_silero_smart_turn.history import History
from voxmesh_turn_silero_smart_turn.segments import (
    ACTIVATION_THRESHOLD,
    MIN_SILENCE_S,
    MIN_SPEECH_S,
    Edge,
    Segments,
)
from voxmesh_turn_silero_smart_turn.smart_turn import SAMPLE_RATE_HERTZ
from voxmesh_turn_silero_smart_turn.voice import WINDOW, Detectors, VoiceActivity

PRE_ROLL_S = 0.5
"""Audio before a turn's first speech that belongs to the turn."""

WINDOW_S = WINDOW / SAMPLE_RATE_HERTZ


class SileroSession:
    """See `voxmesh_turn.engine.Session`.

    Args:
        options: of the caller.
        detectors: lends one for the life of the session.
        turn_samples: longest turn that is judged; of a longer one the end.
    """

    def __init__(self, options: DetectionOptions, detectors: Detectors, turn_samples: int) -> None:
        self.outcomes = _outcomes(options)
        self._segments = Segments(
            WINDOW_S,
            _or(options.activation_threshold, ACTIVATION_THRESHOLD),
            _or(options.min_speech_s, MIN_SPEECH_S),
            _or(options.min_silence_s, MIN_SILENCE_S),
        )
        self._voice = VoiceActivity(detectors)
        self._history = History(turn_samples)
        self._rest = np.empty(0, np.float32)
        self._turn_since = 0
        self._turn_has_speech = False

    def feed(self, samples: Samples) -> Sequence[Event]:
        """Take the next samples, any number; whole windows of 32 ms are looked at."""
        events: list[Event] = []
        for window in self._windows(samples):
            self._history.write(window)
            probability = self._voice.probability(window, may_skip=self._segments.is_quiet)
            edge = self._segments.push(probability)
            if edge is not None:
                events.append(self._event(edge))
        return events

    def new_turn(self) -> None:
        """Forget the audio up to now."""
        self._turn_since = self._history.position
        self._turn_has_speech = self._segments.is_speech

    def close(self) -> None:
        """Give the detector back."""
        self._voice.close()

    def _windows(self, samples: Samples) -> Iterator[Samples]:
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) - len(waiting) % WINDOW
        self._rest = waiting[whole:]
        for begin in range(0, whole, WINDOW):
            yield waiting[begin : begin + WINDOW]

    def _event(self, edge: Edge) -> Event:
        if not edge.is_start:
            return SpeechStopped(edge.offset_s, self._history.since(self._turn_since))
        if not self._turn_has_speech:
            pre_roll = round((edge.offset_s - PRE_ROLL_S) * SAMPLE_RATE_HERTZ)
            self._turn_since = max(self._turn_since, pre_roll)
            self._turn_has_speech = True
        return SpeechStarted(edge.offset_s)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _outcomes(options: DetectionOptions) -> list[Outcome]:
    in_windows = f"counted in windows of {WINDOW_S * 1000:g} ms"
    outcomes: list[Outcome] = []
    if options.activation_threshold is not None:
        outcomes.append(applied("config.activation_threshold"))
    if options.min_speech_s is not None:
        outcomes.append(approximated("config.min_speech_duration", in_windows))
    if options.min_silence_s is not None:
        outcomes.append(approximated("config.min_silence_duration", in_windows))
    return outcomes
