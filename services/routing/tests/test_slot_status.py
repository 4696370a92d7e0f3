"""How a slot is, from how its backends are."""

from __future__ import annotations

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_routing.status import lost, state_of, status_of

pytestmark = pytest.mark.unit

SlotStatus = conversation_pb2.SlotStatus
WELL = conversation_pb2.BackendStatus(target="a:1", is_well=True)
GONE = conversation_pb2.BackendStatus(target="b:1", reason="not reachable")
LOADS = conversation_pb2.BackendStatus(target="c:1", reason="it is not serving")

STATES = {
    "C15 the only one is well": ([WELL], "SERVING", ""),
    "C15 all are well": ([WELL, WELL], "SERVING", ""),
    "C15 the second is gone": ([WELL, GONE], "DEGRADED", "tts at b:1: not reachable"),
    "C15 the first choice is gone": ([GONE, WELL], "DEGRADED", "tts at b:1: not reachable"),
    "C15 the only one is gone": ([GONE], "DOWN", "replies are text alone: tts at b:1: not reachable"),
    "C15 one is gone and one loads": (
        [GONE, LOADS],
        "DOWN",
        "replies are text alone: tts at b:1: not reachable; tts at c:1: it is not serving",
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_a_slot_is_as_its_backends_are(case: str) -> None:
    backends, state, reason = STATES[case]
    status = status_of("tts", backends)
    assert SlotStatus.State.Name(status.state) == f"STATE_{state}"
    assert status.state == state_of(backends)
    assert status.reason == reason
    assert list(status.backends) == backends


@pytest.mark.parametrize("slot", ["turn", "stt", "llm", "tts", "vlm"])
def test_what_is_lost_with_a_slot_is_said(slot: str) -> None:
    reason = status_of(slot, [GONE]).reason
    loss, _, problem = reason.partition(": ")
    assert loss
    assert problem == f"{slot} at b:1: not reachable"


def test_a_slot_may_be_lost_to_one_conversation_alone() -> None:
    status = lost("tts", "tts at a:1: it knows no such voice", [WELL])
    assert status.state == SlotStatus.STATE_DOWN
    assert status.reason == "replies are text alone: tts at a:1: it knows no such voice"
