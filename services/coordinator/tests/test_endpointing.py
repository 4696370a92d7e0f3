"""When a turn is over, by probability and silence."""

import pytest
from google.protobuf.duration_pb2 import Duration

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.endpointing import Endpointing
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

SETTINGS = CoordinatorSettings(min_end_of_turn_wait_s=0.2, max_end_of_turn_wait_s=1.5)


def endpointing(**waits: Duration) -> Endpointing:
    config = conversation_pb2.ConversationConfig()
    for name, wait in waits.items():
        getattr(config, name).CopyFrom(wait)
    return Endpointing.from_config(config, SETTINGS)


@pytest.mark.parametrize(
    ("probability", "silence_s", "is_over"),
    [(0.9, 0.2, True), (0.9, 0.1, False), (0.1, 0.8, False), (0.1, 1.5, True), (0.5, 0.2, True)],
)
def test_a_turn_that_sounds_complete_ends_sooner(probability: float, silence_s: float, is_over: bool) -> None:  # noqa: FBT001 # a table
    assert endpointing().is_over(probability, silence_s) is is_over


def test_the_session_may_choose_its_waits() -> None:
    chosen = endpointing(min_end_of_turn_wait=Duration(seconds=1), max_end_of_turn_wait=Duration(seconds=3))
    assert not chosen.is_over(0.9, 0.9)
    assert chosen.is_over(0.9, 1.0)
    assert not chosen.is_over(0.1, 2.9)


@pytest.mark.parametrize("seconds", [-1, 11])
def test_a_wait_outside_its_limits_is_refused_by_name(seconds: int) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.max_end_of_turn_wait: must be from 0 to 10 s"):
        endpointing(max_end_of_turn_wait=Duration(seconds=seconds))


def test_waits_that_contradict_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="longer than max_end_of_turn_wait"):
        endpointing(min_end_of_turn_wait=Duration(seconds=2))
