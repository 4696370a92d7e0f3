"""What the turn controller needs of those who listen: all of it is enqueued in order with the audio, none of it waits.

Everything heard comes as events: SpeechStarted, SpeechStopped, EndOfTurnPredicted, WordsHeard, FinalizeAnswered. Who
listens fails over by himself: ListeningFailed comes only when no backend is left for what he owes, ListeningRecovered
when speech is heard again.
"""

from __future__ import annotations

from typing import Protocol

from voxmesh.common.v1 import common_pb2


class Listening(Protocol):
    """Turn detection and recognition of one session; times are seconds of the microphone's audio."""

    def start_recognition(self, from_s: float, parent: common_pb2.TraceContext) -> None:
        """Speech began, or went on after a pause: words are wanted from here on, and judgements are part of a trace."""
        ...

    def finalize(self, parent: common_pb2.TraceContext) -> None:
        """What was said so far is wanted as final; recognition goes on."""
        ...

    def report_words(self, text: str, language_code: str) -> None:
        """The turn's words are these by now: its end is judged by them, too."""
        ...

    def begin_new_turn(self) -> None:
        """The turn is over, and its transcript complete: the next speech is a new turn's."""
        ...

    def discard_audio(self) -> None:
        """The turn failed: what was said of it is of no use to anybody."""
        ...

    def settle(self) -> None:
        """The turn that ended last is kept in words, or was none: no replica needs its audio."""
        ...
