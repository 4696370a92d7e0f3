"""When a turn's work was done, in seconds since the person stopped speaking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Milestones:
    """One answered turn."""

    turn_ended_s: float
    """The turn was decided to be over."""
    final_s: float
    """The final transcript was there."""
    first_token_s: float
    first_audio_s: float
    text: str
    """What was understood."""
    reply: str

    @property
    def after_turn_s(self) -> float:
        """From the end of the turn to the first audio: the models' work without the wait for silence."""
        return self.first_audio_s - self.turn_ended_s


MEASURES = {
    "speech end to end of turn": "turn_ended_s",
    "speech end to final transcript": "final_s",
    "speech end to first token": "first_token_s",
    "speech end to first reply audio": "first_audio_s",
    "end of turn to first reply audio": "after_turn_s",
}
"""What is told of a turn, and the attribute that holds it."""
