"""How much of a slot works, from how its backends are, and what a conversation loses without it.

a backend answers and is healthy ──► BackendStatus ──► SERVING all · DEGRADED some · DOWN none
"""

from __future__ import annotations

from collections.abc import Sequence

from voxmesh.conversation.v1 import conversation_pb2

BackendStatus = conversation_pb2.BackendStatus
SlotStatus = conversation_pb2.SlotStatus

SERVING = SlotStatus.STATE_SERVING
DEGRADED = SlotStatus.STATE_DEGRADED
DOWN = SlotStatus.STATE_DOWN

ESSENTIAL = frozenset({"llm"})
"""Slots without which no conversation begins: every other one can be typed around."""

_LOSSES = {
    "turn": "only typed turns work",
    "stt": "only typed turns work",
    "llm": "no turn is answered",
    "tts": "replies are text alone",
    "vlm": "no picture is looked at",
}


def state_of(backends: Sequence[BackendStatus]) -> SlotStatus.State.ValueType:
    """How much of a slot works, by its backends."""
    if all(backend.is_well for backend in backends):
        return SERVING
    return DEGRADED if any(backend.is_well for backend in backends) else DOWN


def status_of(slot: str, backends: Sequence[BackendStatus]) -> SlotStatus:
    """A slot with its backends, and in words what does not work."""
    state = state_of(backends)
    problems = "; ".join(f"{slot} at {each.target}: {each.reason}" for each in backends if not each.is_well)
    reason = f"{_LOSSES[slot]}: {problems}" if state == DOWN else problems
    return SlotStatus(slot=slot, state=state, reason=reason, backends=backends)


def lost(slot: str, problem: str, backends: Sequence[BackendStatus]) -> SlotStatus:
    """A slot that is DOWN for one conversation: none of its backends took that one's stream, whatever else they do."""
    return SlotStatus(slot=slot, state=DOWN, reason=f"{_LOSSES[slot]}: {problem}", backends=backends)
