"""Which of the microphone's audio another replica would need."""

from __future__ import annotations

from voxmesh.session.v1 import session_pb2
from voxmesh_routing.timeline import LATE_S, AudioTimeline

LEAD_S = 1.0
"""Audio before the start of speech that lets it be found again, in seconds."""


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
        needed_s = self._held_s if self._held_s is not None else self._floor_s
        piece = self._timeline.first_after(needed_s)
        if piece is None:
            return session_pb2.Microphone(next_sequence=self._timeline.next_sequence, offset_s=self._timeline.end_s)
        return session_pb2.Microphone(next_sequence=piece.sequence, offset_s=piece.begin_s)
