"""How the turn-taking of a session begins: by its config, the operator's settings, and what was kept of it."""

from __future__ import annotations

from google.protobuf import duration_pb2

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_coordinator.turn.state import TurnState
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.refusals import check_range

MAX_WAIT_S = 10.0
PAUSE_S = 0.1
"""Silence that counts as a pause, in seconds: early enough to prepare a reply in it."""


def turn_state(saved: session_pb2.State, settings: CoordinatorSettings) -> TurnState:
    """The turn-taking of a session that begins, or goes on here.

    Raises:
        InvalidArgument: a wait is outside its limits, or they contradict.
    """
    config = saved.config
    return TurnState(
        endpointing(config, settings),
        speculation=config.speculation if config.HasField("speculation") else settings.speculation,
        max_speculations=settings.max_speculations,
        pause_s=PAUSE_S,
        input_sequence=saved.input_sequence,
    )


def endpointing(config: conversation_pb2.ConversationConfig, settings: CoordinatorSettings) -> Endpointing:
    """The waits of a session.

    Raises:
        InvalidArgument: see `turn_state`.
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
    return Endpointing(min_s, max_s, settings.end_of_turn_probability, frozenset(settings.unfinished_endings))


def _wait_s(value: duration_pb2.Duration, field: str) -> float:
    wait_s = seconds_of(value)
    check_range(field, wait_s, 0, MAX_WAIT_S, "s")
    return wait_s
