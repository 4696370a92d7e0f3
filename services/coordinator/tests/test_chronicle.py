"""A session's log gives the same state to who reads it later."""

from __future__ import annotations

import pytest

from voxmesh.conversation.v1 import conversation_pb2 as conversation
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.begun import Begun
from voxmesh_coordinator.chronicle import Chronicle, Record, Response, State
from voxmesh_coordinator.ledger import Ledger
from voxmesh_coordinator.user_turn import UserTurn
from voxmesh_runtime.telemetry import start_span

pytestmark = pytest.mark.unit


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


def report(turn_index: int = 0) -> Record:
    return Record(response=Response(turn_report=conversation.TurnReport(turn_index=turn_index)))


def interrupted(heard: str) -> Record:
    return Record(response=Response(interrupted=conversation.Interrupted(heard_text=heard)))


def failed(code: int, turn_index: int = 0) -> Record:
    return Record(response=Response(turn_failed=conversation.TurnFailed(turn_index=turn_index, code=code)))


def state_after(*records: Record) -> State:
    chronicle = Chronicle(State(), 4000)
    for position, record in enumerate(records, 1):
        if record.HasField("response"):
            record.response.sequence = position
        chronicle.take(position, record)
    return chronicle.state()


def turns(state: State) -> list[str]:
    return [message.text for message in state.history]


def test_a_reply_in_progress_is_not_in_the_history_yet() -> None:
    state = state_after(ended("How are you?"), text("I am "), text("well."), audio(0, 0, 10))
    assert turns(state) == []
    assert (state.reply.said, state.reply.text, state.reply.is_done) == ("How are you?", "I am well.", False)
    assert (state.next_turn_index, state.next_reply_sequence, state.response_sequence) == (1, 1, 4)
    assert not Begun(state.reply).is_written


def test_a_reply_that_was_given_is_in_the_history_and_may_still_be_cut() -> None:
    given = [ended("How are you?"), text("I am well."), audio(0, 0, 10), audio(1, 0, 0, is_last=True), report()]
    state = state_after(*given)
    assert turns(state) == ["How are you?", "I am well."]
    assert (state.reply.is_done, state.reply.is_spoken, len(state.reply.pieces)) == (True, True, 1)
    assert turns(state_after(*given, interrupted("I am"))) == ["How are you?", "I am"]


def test_a_turn_that_is_taken_over_goes_on_in_its_trace() -> None:
    end = ended("How are you?")
    end.trace_context.traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    state = state_after(end, text("I am "))
    assert UserTurn(start_span("turn", state.reply.trace_context)).trace_id == "ab" * 16


def test_an_interrupted_reply_leaves_what_was_heard_once() -> None:
    state = state_after(ended("Count."), text("One two three."), interrupted("One two"), report())
    assert turns(state) == ["Count.", "One two"]
    assert not state.HasField("reply")


@pytest.mark.parametrize(("code", "kept"), [(14, ["Count."]), (3, [])], ids=["unavailable", "refused"])
def test_a_failed_turn_leaves_what_was_said_unless_it_was_refused(code: int, kept: list[str]) -> None:
    state = state_after(ended("Count."), text("One"), failed(code), report())
    assert turns(state) == kept
    assert not state.HasField("reply")


def test_a_turn_that_failed_before_it_ended_has_a_number_too() -> None:
    assert state_after(failed(14, turn_index=3)).next_turn_index == 4


def test_what_pictures_show_takes_their_place() -> None:
    shown = ended("What is this?")
    shown.images.append(b"png")
    assert list(state_after(shown).reply.images) == [b"png"]
    seen = state_after(shown, Record(seen="(A cat.)"), text("A cat."), report())
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
    assert not Begun(state_after(ended("Count."), text("One "), noted).reply).is_written
    assert Begun(state_after(ended("Count."), text("One "), text("two."), noted).reply).is_written


def test_a_tool_that_has_not_answered_is_awaited() -> None:
    calls = [llm_pb2.ToolCall(call_id="a"), llm_pb2.ToolCall(call_id="b")]
    answer = llm_pb2.Message(role=llm_pb2.Message.ROLE_TOOL, tool_call_id="a", text="1")
    asked = [ended("Sum?"), text("Let me see. "), Record(tool_calls=calls)]
    begun = Begun(state_after(*asked, Record(tool_answers=[answer])).reply)
    assert [call.call_id for call in begun.pending()] == ["b"]
    assert begun.generated_from == len("Let me see. ")


def test_a_state_and_the_log_after_it_are_the_whole_log() -> None:
    records = [ended("One?"), text("One."), audio(0, 0, 4), report(), ended("Two?", 1), text("Two", 1), text(".", 1)]
    whole = state_after(*records)
    for cut in range(len(records)):
        before = state_after(*records[:cut])
        later = Chronicle(State.FromString(before.SerializeToString()), 4000)
        for position, record in enumerate(records[cut:], cut + 1):
            later.take(position, record)
        assert later.state() == whole


def test_a_cut_clause_is_spoken_from_its_start_and_its_words_are_timed_anew() -> None:
    records = [ended("Go."), text("First one. Second one."), audio(0, 0, 10), audio(1, 11, 22), audio(2, 11, 22)]
    words = [("First", 0.0), ("one.", 0.3), ("Second", 0.5), ("one.", 0.9)]
    records[2].words.extend(session_pb2.SpokenWord(text=word, start_s=start_s) for word, start_s in words)
    begun, ledger = Begun(state_after(*records).reply), Ledger()
    begun.fill(ledger)
    assert begun.clause is not None
    assert (begun.clause.text_start, begun.clause.offset_s, ledger.sent_s) == (11, 0.5, 1.5)
    ledger.timed("Second", 0.5)
    ledger.timed("one.", 0.9)
    ledger.played(0.6)
    assert ledger.heard_text() == "First one. Second"
