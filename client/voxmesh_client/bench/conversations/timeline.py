"""What happened in one play of a scenario, on the clock of the microphone: second 0 is its first sample."""

from __future__ import annotations

from dataclasses import dataclass, field

from voxmesh_client.bench.conversations.script import Expect
from voxmesh_client.events import Event


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something that the script put on the microphone."""

    step: int
    """Which of the scenario's steps, from 1."""
    label: str
    """Names of its sounds, for a person."""
    text: str
    """What was said; empty when it was no speech."""
    expect: Expect
    onset_s: float
    """Its first voiced sample."""
    end_s: float
    """After its last voiced sample, pauses in it included."""
    over_turn: int | None = None
    """Turn whose reply was being played at its onset."""
    needs_reply: bool = False
    """True when the script wanted it over a reply."""

    @property
    def is_void(self) -> bool:
        """True when it was to be said over a reply that was over by then; it shows nothing."""
        return self.needs_reply and self.over_turn is None


@dataclass(frozen=True, slots=True)
class Received:
    """An event and when it came."""

    at_s: float
    event: Event


@dataclass(slots=True)
class Timeline:
    """All that happened, in order."""

    utterances: list[Utterance] = field(default_factory=list[Utterance])
    received: list[Received] = field(default_factory=list[Received])
    played_out_s: dict[int, float] = field(default_factory=dict[int, float])
    """When a turn's reply had been played to its end, by turn."""
    unsaid: list[int] = field(default_factory=list[int])
    """Steps that waited for a reply in vain and said nothing."""
    failure: str = ""
    """Why the conversation broke off; empty when it did not."""
    late_s: float = 0.0
    """The most that a microphone frame was sent too late."""
    services: list[str] = field(default_factory=list[str])
    """Engine, model and host of each service, as the coordinator told."""
    speculation_outcome: str = ""
    """How the coordinator took config.speculation; empty when it did not say."""
