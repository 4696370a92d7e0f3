"""Why replies are over, and what the operator says then."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_coordinator.reply.ending import line_of, reason_of
from voxmesh_coordinator.settings import CoordinatorSettings

pytestmark = pytest.mark.unit

Ended = llm_pb2.Finished
Finished = conversation_pb2.ReplyFinished

REASONS = [
    (Ended.REASON_STOP, True, False, Finished.REASON_COMPLETED),
    (Ended.REASON_STOP, False, False, Finished.REASON_NOTHING_SAID),
    (Ended.REASON_STOP, False, True, Finished.REASON_TOOL_CALLS),
    (Ended.REASON_TOOL_CALLS, True, True, Finished.REASON_COMPLETED),
    (Ended.REASON_TOOL_CALLS, False, True, Finished.REASON_TOOL_CALLS),
    (Ended.REASON_LENGTH, True, False, Finished.REASON_LENGTH),
    (Ended.REASON_LENGTH, False, True, Finished.REASON_LENGTH),
    (Ended.REASON_CONTENT_FILTER, False, False, Finished.REASON_CONTENT_FILTER),
    (Ended.REASON_CANCELLED, True, False, Finished.REASON_COMPLETED),
]


@pytest.mark.parametrize(("finished", "has_words", "wants_tools", "reason"), REASONS)
def test_c7_why_an_answer_is_over(finished: int, reason: int, *, has_words: bool, wants_tools: bool) -> None:
    assert reason_of(finished, has_words=has_words, wants_tools=wants_tools) == reason


LINES = {
    "en": {"failed": "Sorry.", "length": "More?"},
    "kn": {"failed": "ಕ್ಷಮಿಸಿ."},
    "pt-BR": {"failed": "Desculpe<|x|>."},
}
SPOKEN = [
    ((), Finished.REASON_FAILED, "Sorry."),
    (("kn",), Finished.REASON_FAILED, "ಕ್ಷಮಿಸಿ."),
    (("kn-IN",), Finished.REASON_FAILED, "ಕ್ಷಮಿಸಿ."),
    (("kn",), Finished.REASON_LENGTH, ""),
    (("ta",), Finished.REASON_FAILED, ""),
    (("ta", "en"), Finished.REASON_FAILED, "Sorry."),
    (("pt-br",), Finished.REASON_FAILED, "Desculpe."),
    (("en",), Finished.REASON_COMPLETED, ""),
    (("en",), Finished.REASON_INTERRUPTED, ""),
]


@pytest.mark.parametrize(("languages", "reason", "line"), SPOKEN)
def test_the_line_is_in_the_session_s_language(languages: tuple[str, ...], reason: int, line: str) -> None:
    settings = CoordinatorSettings(lines=LINES)  # pyright: ignore[reportArgumentType] # checked there
    assert line_of(settings.lines, reason, languages) == line


def test_no_line_is_said_unless_the_operator_sets_one() -> None:
    assert line_of(CoordinatorSettings().lines, Finished.REASON_FAILED, ("en",)) == ""


def test_a_line_for_no_end_is_refused() -> None:
    with pytest.raises(ValidationError, match="lines"):
        CoordinatorSettings(lines={"en": {"sometimes": "Hm."}})  # pyright: ignore[reportArgumentType] # wrong on purpose
