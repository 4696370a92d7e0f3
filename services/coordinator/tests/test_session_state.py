"""A session's log gives the same state to who reads it later."""

from __future__ import annotations

import pytest

from voxmesh.conversation.v1 import conversation_pb2 as conversation
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.state import (
    Record,
    Response,
    SessionState,
    State,
    last_clause,
    pending_calls,
    written_characters,
)
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker
from voxmesh_runtime.telemetry import start_span

pytestmark = pytest.mark.unit

Reason = conversation.ReplyFinished


def ended(text: str, turn_index: int = 0) -> Record:
    return Record(response=Response(turn_ended=conversation.TurnEnded(turn_index=turn_index, text=text)))


def text(delta: str, turn_index: int = 0) -> Record:
    return Record(response=Response(reply_text=conversation.ReplyText(turn_index=turn_index, delta=delta)))


def audio(sequence: int, start: int, end: int, *, turn_index: int = 0, is_last: bool = False) -> Record:
    """A piece of half a second; the last one is empty."""
    reply = conversation.ReplyAudio(sequence=sequence, turn_index=turn_index, is_last=is_last)
    record = Record(response=Response(reply_audio=reply))
    if not is_last:
        piece = session_pb2.SpokenPiece(text_start=start, text_end=end, offset_s=sequence / 2, duration_s=0.5)
        record.piece.CopyFrom(piece)
    return record


def finished(
    reason: conversation.ReplyFinished.Reason.ValueType = Reason.REASON_COMPLETED, turn_index: int = 0
) -> Record:
    reply_finished = conversation.ReplyFinished(turn_index=turn_index, reason=reason)
    return Record(response=Response(reply_finished=reply_finished))


def report(turn_index: int = 0) -> Record:
    return Record(response=Response(turn_report=conversation.TurnReport(turn_index=turn_index)))


def interrupted(heard: str) -> Record:
    return Record(response=Response(interrupted=conversation.Interrupted(heard_text=heard)))


def failed(code: int = 14, turn_index: int = 0) -> Record:
    return Record(response=Response(turn_failed=conversation.TurnFailed(turn_index=turn_index, code=code)))


def state_after(*records: Record) -> State:
    session = SessionState(State(), 4000)
    for position, record in enumerate(records, 1):
        if record.HasField("response"):
            record.response.sequence = position
        session.apply(position, record)
    return session.proto


def turns(state: State) -> list[str]:
    return [message.text for message in state.history]


def test_a_reply_in_progress_is_not_in_the_history_yet() -> None:
    state = state_after(ended("How are you?"), text("I am "), text("well."), audio(0, 0, 10))
    assert turns(state) == []
    assert (state.reply.said, state.reply.text, state.reply.is_done) == ("How are you?", "I am well.", False)
    assert (state.next_turn_index, state.next_reply_sequence, state.response_sequence) == (1, 1, 4)
    assert written_characters(state.reply) is None


def test_a_reply_that_was_given_is_in_the_history_and_may_still_be_cut() -> None:
    given = [
        ended("How are you?"),
        text("I am well."),
        audio(0, 0, 10),
        audio(1, 0, 0, is_last=True),
        finished(),
        report(),
    ]
    state = state_after(*given)
    assert turns(state) == ["How are you?", "I am well."]
    assert (state.reply.is_done, state.reply.is_spoken, len(state.reply.pieces)) == (True, True, 1)
    assert turns(state_after(*given, interrupted("I am"))) == ["How are you?", "I am"]


def test_a_turn_that_is_taken_over_goes_on_in_its_trace() -> None:
    end = ended("How are you?")
    end.trace_context.traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    state = state_after(end, text("I am "))
    assert TurnMetrics(span=start_span("turn", state.reply.trace_context)).to_proto().trace_id == "ab" * 16


def test_an_interrupted_reply_leaves_what_was_heard_once() -> None:
    cut = [interrupted("One two"), finished(Reason.REASON_INTERRUPTED), report()]
    state = state_after(ended("Count."), text("One two three."), *cut)
    assert turns(state) == ["Count.", "One two"]
    assert not state.HasField("reply")


@pytest.mark.parametrize("told", [2, 3, 4], ids=["interrupted", "reply_finished", "turn_report"])
def test_a_reply_that_was_interrupted_is_in_the_history_once_its_end_was_told(told: int) -> None:
    log = [ended("Count."), text("One two three."), interrupted("One two"), finished(Reason.REASON_CANCELLED), report()]
    log[2].end.reason = Reason.REASON_CANCELLED
    state = state_after(*log[: told + 1])
    assert turns(state) == (["Count.", "One two"] if told > 2 else [])
    assert (state.reply.end.reason == Reason.REASON_CANCELLED) == (told < 4)


@pytest.mark.parametrize("is_refused", [False, True], ids=["C2 the voice failed", "C2 the words were refused"])
def test_a_failed_turn_leaves_what_was_said_unless_it_was_refused(*, is_refused: bool) -> None:
    why = Record(end=session_pb2.ReplyEnd(reason=Reason.REASON_FAILED, is_refused=is_refused))
    state = state_after(ended("Count."), text("One"), why, finished(Reason.REASON_FAILED), failed(3), report())
    assert turns(state) == ([] if is_refused else ["Count.", "One"])
    assert not state.HasField("reply")


def test_a_log_of_the_version_before_ends_its_turns_with_their_reports() -> None:
    assert turns(state_after(ended("Count."), text("One"), report())) == ["Count.", "One"]
    assert turns(state_after(ended("Count."), text("One"), interrupted(""), report())) == ["Count."]
    assert turns(state_after(ended("Count."), failed(), report())) == ["Count."]


def test_an_end_is_told_once_though_the_one_who_told_it_died_before_the_report() -> None:
    told = state_after(ended("Count."), text("One"), finished())
    assert (told.reply.is_finished, told.reply.is_done, turns(told)) == (True, False, ["Count.", "One"])
    assert turns(state_after(ended("Count."), text("One"), finished(), report())) == ["Count.", "One"]


def test_a_turn_that_failed_before_it_ended_has_a_number_too() -> None:
    assert state_after(failed(14, turn_index=3)).next_turn_index == 4


def test_what_pictures_show_takes_their_place() -> None:
    shown = ended("What is this?")
    shown.images.append(b"png")
    assert list(state_after(shown).reply.images) == [b"png"]
    seen = state_after(shown, Record(seen="(A cat.)"), text("A cat."), finished())
    assert list(seen.reply.images) == []
    assert turns(seen) == ["What is this? (A cat.)", "A cat."]


def test_notes_on_the_reply_before_say_nothing_of_the_next() -> None:
    late = ended("And now?", 1)
    late.text_characters = 3
    late.words.add(text="One", start_s=0.0)
    reply = state_after(ended("Count."), text("One"), interrupted(""), late).reply
    assert not reply.HasField("text_characters")
    assert len(reply.words) == 0


def test_a_text_is_complete_when_all_of_it_was_sent() -> None:
    noted = Record(text_characters=8)
    assert written_characters(state_after(ended("Count."), text("One "), noted).reply) is None
    assert written_characters(state_after(ended("Count."), text("One "), text("two."), noted).reply) == 8


def asks(*calls: str, after: int = 0) -> Record:
    return Record(tool_calls=[llm_pb2.ToolCall(call_id=call) for call in calls], text_before_calls=after)


def answers(*calls: str) -> Record:
    return Record(
        tool_answers=[llm_pb2.Message(role=llm_pb2.Message.ROLE_TOOL, tool_call_id=call, text="1") for call in calls]
    )


def test_a_tool_that_has_not_answered_is_awaited() -> None:
    reply = state_after(ended("Sum?"), text("Let me see. "), asks("a", "b", after=12), answers("a")).reply
    assert [call.call_id for call in pending_calls(reply)] == ["b"]
    assert reply.rounds[-1].text_characters == len("Let me see. ")


def test_a_result_that_is_noted_with_the_next_calls_is_of_the_calls_before() -> None:
    both = asks("b")
    both.MergeFrom(answers("a"))
    reply = state_after(ended("Sum?"), asks("a"), both).reply
    assert [[answer.tool_call_id for answer in each.answers] for each in reply.rounds] == [["a"], []]
    assert [call.call_id for call in pending_calls(reply)] == ["b"]


def test_a_state_and_the_log_after_it_are_the_whole_log() -> None:
    records = [
        ended("One?"),
        text("One."),
        audio(0, 0, 4),
        finished(),
        report(),
        ended("Two?", 1),
        text("Two", 1),
        text(".", 1),
    ]
    whole = state_after(*records)
    for cut in range(len(records)):
        before = state_after(*records[:cut])
        log = list(enumerate(records, 1))
        assert SessionState.restored(before.SerializeToString(), log, 4000).proto == whole


def test_a_cut_clause_is_spoken_from_its_start_and_its_words_are_timed_anew() -> None:
    records = [ended("Go."), text("First one. Second one."), audio(0, 0, 10), audio(1, 11, 22), audio(2, 11, 22)]
    words = [("First", 0.0), ("one.", 0.3), ("Second", 0.5), ("one.", 0.9)]
    records[2].words.extend(session_pb2.SpokenWord(text=word, start_s=start_s) for word, start_s in words)
    reply, playout = state_after(*records).reply, PlayoutTracker()
    playout.take_up(reply)
    clause = last_clause(reply)
    assert clause is not None
    assert (clause.text_start, clause.offset_s, playout.sent_s) == (11, 0.5, 1.5)
    playout.timed("Second", 0.5)
    playout.timed("one.", 0.9)
    playout.played(0.6)
    assert playout.heard_text() == "First one. Second"
