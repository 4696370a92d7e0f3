"""What a conversation is for: checked, and told back as an outcome of its config."""

from __future__ import annotations

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_routing.backends import Slot
from voxmesh_routing.settings import MAX_PURPOSE_CHARACTERS
from voxmesh_runtime.outcomes import Outcome, applied, ignored
from voxmesh_runtime.refusals import check_count

FIELD = "config.purpose"


def for_purpose(services: BackendRegistry, config: conversation_pb2.ConversationConfig) -> BackendRegistry:
    """The services as this conversation prefers their backends.

    Raises:
        InvalidArgument: the purpose is too long.
    """
    check_count(FIELD, len(config.purpose), MAX_PURPOSE_CHARACTERS)
    return services.for_purpose(config.purpose)


def purpose_outcomes(services: BackendRegistry, config: conversation_pb2.ConversationConfig) -> list[Outcome]:
    """Whether any slot that the conversation uses has a backend for its purpose; nothing where it names none."""
    if not config.purpose:
        return []
    if any(slot.has_purpose for slot in _used(services, config)):
        return [applied(FIELD)]
    return [ignored(FIELD, "no backend of this conversation's services is for that purpose; those for all serve it")]


def _used(services: BackendRegistry, config: conversation_pb2.ConversationConfig) -> list[Slot]:
    listening = [services.turn, services.stt] if config.HasField("recognition") else []
    speaking = [] if config.text_replies_only else [services.tts]
    return [*listening, services.llm, services.vlm, *speaking]
