"""Why a reply is over, and the line that the operator has for such an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import grpc

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.cleaning import cleaned
from voxmesh_coordinator.durability.state import Reason, ReplyFinished
from voxmesh_coordinator.settings import LineName, Lines
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.language_tags import best_match

End: TypeAlias = session_pb2.ReplyEnd

_LINES: Mapping[int, LineName] = {
    ReplyFinished.REASON_LENGTH: "length",
    ReplyFinished.REASON_CONTENT_FILTER: "content_filter",
    ReplyFinished.REASON_TOOL_CALLS: "tool_calls",
    ReplyFinished.REASON_NOTHING_SAID: "nothing_said",
    ReplyFinished.REASON_FAILED: "failed",
}


def reason_of(finished: int, *, has_words: bool, wants_tools: bool) -> Reason:
    """Why a reply is over whose last answer calls no tool that it may call.

    Args:
        finished: the language model service's reason, `llm.v1.Finished.Reason`.
        has_words: the last answer does, beside white space.
        wants_tools: it asked for tools, or has been called to answer without them because it asked so often.
    """
    if finished == llm_pb2.Finished.REASON_LENGTH:
        return ReplyFinished.REASON_LENGTH
    if finished == llm_pb2.Finished.REASON_CONTENT_FILTER:
        return ReplyFinished.REASON_CONTENT_FILTER
    if has_words:
        return ReplyFinished.REASON_COMPLETED
    return ReplyFinished.REASON_TOOL_CALLS if wants_tools else ReplyFinished.REASON_NOTHING_SAID


def failure_end(failure: ServiceFailed, *, has_begun: bool = True) -> End:
    """The end of a reply that a service's failure brings about.

    What the language model refuses before the reply has begun is what the person said, and not something later.
    """
    is_refused = failure.code == grpc.StatusCode.INVALID_ARGUMENT and not has_begun
    failed = conversation_pb2.TurnFailed(code=failure.number, message=failure.message, details=failure.packed)
    return End(reason=ReplyFinished.REASON_FAILED, failed=failed, is_refused=is_refused)


def turn_failed(turn_index: int, why: conversation_pb2.TurnFailed) -> conversation_pb2.ConverseResponse:
    """Tells the client why there is no answer to a turn, or not all of it."""
    failed = conversation_pb2.TurnFailed()
    failed.CopyFrom(why)
    failed.turn_index = turn_index
    return conversation_pb2.ConverseResponse(turn_failed=failed)


def line_of(lines: Lines, reason: int, languages: Sequence[str]) -> str:
    """The operator's line for an end; empty where there is none.

    Args:
        lines: by BCP-47 tag and end; the first are for sessions whose language is not known.
        reason: why the reply is over.
        languages: that are spoken in the session.
    """
    name = _LINES.get(reason)
    tags = languages or list(lines)[:1]
    matches = (best_match(tag, lines) for tag in tags)
    found = (lines[match].get(name, "") for match in matches if match is not None and name)
    return cleaned(next(filter(None, found), ""))
