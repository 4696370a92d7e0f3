"""Decide from pauses and probabilities when a person's turn is over."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import duration_pb2

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.errors import InvalidArgument

MAX_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Endpointing:
    """Waits in seconds of silence; a turn that sounds complete ends at the shorter one."""

    min_wait_s: float
    max_wait_s: float
    probability: float

    @classmethod
    def from_config(cls, config: conversation_pb2.ConversationConfig, settings: CoordinatorSettings) -> Endpointing:
        """The waits of a session.

        Raises:
            InvalidArgument: a wait is outside its limits, or they contradict.
        """
        min_s, max_s = settings.min_end_of_turn_wait_s, settings.max_end_of_turn_wait_s
        if config.HasField("min_end_of_turn_wait"):
            min_s = _wait_s(config.min_end_of_turn_wait, "config.min_end_of_turn_wait")
        if config.HasField("max_end_of_turn_wait"):
            max_s = _wait_s(config.max_end_of_turn_wait, "config.max_end_of_turn_wait")
        if min_s > max_s:
            raise InvalidArgument(
                "config.min_end_of_turn_wait", f"{min_s:g} s is longer than max_end_of_turn_wait, {max_s:g} s"
            )
        return cls(min_s, max_s, settings.end_of_turn_probability)

    def is_over(self, probability: float, silence_s: float) -> bool:
        """True when a pause of `silence_s` that sounds complete by `probability` ends the turn."""
        return silence_s >= (self.min_wait_s if probability >= self.probability else self.max_wait_s)


def _wait_s(value: duration_pb2.Duration, field: str) -> float:
    wait_s = seconds_of(value)
    if not 0 <= wait_s <= MAX_WAIT_S:
        raise InvalidArgument(field, f"must be from 0 to {MAX_WAIT_S:g} s, not {wait_s:g}")
    return wait_s
