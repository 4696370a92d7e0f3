"""A client that has got more than was written tells it to the replica that takes over, at every point of a turn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from voxmesh.conversation.v1 import conversation_pb2 as pb
from voxmesh.session.v1 import session_pb2
from voxmesh_client.newest_turn import NewestTurn
from voxmesh_coordinator.durability.log import SessionLog
from voxmesh_coordinator.durability.resuming import MAX_AHEAD, catch_up, check_resume
from voxmesh_coordinator.durability.state import FORMAT, Record, Response, SessionState, State, UnknownFormat
from voxmesh_runtime.clock import duration
from voxmesh_runtime.errors import InvalidArgument, NotFound

pytestmark = pytest.mark.unit

Finished = pb.ReplyFinished
PIECE = bytes(2400)
"""A twentieth of a second of reply audio."""


def log_of(*responses: Response) -> list[Record]:
    """The records of responses, numbered from 1."""
    records: list[Record] = []
    for sequence, response in enumerate(responses, 1):
        record = Record(response=response)
        record.response.sequence = sequence
        if response.HasField("turn_ended"):
            ended = response.turn_ended
            offset_s = ended.next_audio_offset.ToNanoseconds() / 1e9
            if ended.next_audio_sequence:
                place = session_pb2.Microphone(next_sequence=ended.next_audio_sequence, offset_s=offset_s)
                record.microphone.CopyFrom(place)
            record.input_sequence = ended.input_sequence
        records.append(record)
    return records


def ended(index: int, said: str) -> Response:
    chunks = 50 * (index + 1)
    return Response(
        turn_ended=pb.TurnEnded(
            turn_index=index,
            text=said,
            next_audio_sequence=chunks,
            next_audio_offset=duration(chunks * 0.02),
            input_sequence=index + 1,
        )
    )


def text(index: int, delta: str) -> Response:
    return Response(reply_text=pb.ReplyText(turn_index=index, delta=delta))


def audio(index: int, sequence: int, number: int, *, is_last: bool = False) -> Response:
    """The piece with this number of a reply; the last one is empty."""
    return Response(
        reply_audio=pb.ReplyAudio(
            turn_index=index,
            sequence=sequence,
            offset=duration(number * 0.05),
            data=b"" if is_last else PIECE,
            is_last=is_last,
        )
    )


def over(index: int, reason: Finished.Reason.ValueType = Finished.REASON_COMPLETED) -> Response:
    return Response(reply_finished=Finished(turn_index=index, reason=reason))


def report(index: int) -> Response:
    return Response(turn_report=pb.TurnReport(turn_index=index))


def failed(index: int) -> Response:
    return Response(turn_failed=pb.TurnFailed(turn_index=index, message="gone"))


def cut(index: int, heard: str) -> Response:
    return Response(interrupted=pb.Interrupted(turn_index=index, heard_text=heard))


SPEECH = Response(speech_started=duration(0.5))
WHOLE = [SPEECH, ended(0, "Count."), text(0, "One. "), audio(0, 0, 0), text(0, "Two."), audio(0, 1, 1)]
LAST = audio(0, 2, 2, is_last=True)
TURNS: dict[str, list[Response]] = {
    "it is given": [*WHOLE, LAST, over(0), report(0)],
    "it is stopped": [*WHOLE, cut(0, "One."), over(0, Finished.REASON_CANCELLED), report(0)],
    "it is stopped while it plays": [*WHOLE, LAST, over(0), report(0), cut(0, "One.")],
    "its services fail": [*WHOLE[:3], over(0, Finished.REASON_FAILED), failed(0), report(0)],
    "nobody understood it": [SPEECH, failed(0), SPEECH],
    "the next one follows": [*WHOLE, LAST, over(0), report(0), SPEECH, ended(1, "More."), text(1, "Three.")],
}


def after(records: Sequence[Record]) -> SessionState:
    state = SessionState(State(), 4000)
    for position, record in enumerate(records, 1):
        state.apply(position, record)
    return state


def resume_of(records: Sequence[Record]) -> pb.Resume:
    """What a client says that has got these responses."""
    newest = NewestTurn(pb.ConversationConfig())
    for record in records:
        newest.take(record.response.WhichOneof("converse_response") or "", record.response)
    resume = pb.Resume(last_sequence=len(records))
    newest.tell(resume)
    return resume


def known(state: SessionState) -> State:
    """What a client and the language model can tell apart: not the place of the log, nor what only the log knows."""
    same = State()
    same.CopyFrom(state.proto)
    for field in ("position", "is_ducked"):
        same.ClearField(field)
    for field in ("received_s", "text_characters"):
        same.reply.ClearField(field)
    if not same.reply.is_finished and not same.reply.HasField("heard_text"):
        same.reply.ClearField("end")
    return same


@pytest.mark.parametrize("case", TURNS)
def test_whatever_was_not_written_the_client_s_account_makes_the_same_session(case: str) -> None:
    records = log_of(*TURNS[case])
    for written, received in combinations_with_replacement(range(len(records) + 1), 2):
        log = SessionLog(after(records[:written]))
        resume = resume_of(records[:received])
        check_resume(resume)
        is_told = resume.HasField("turn")
        expected = None if is_told or received == written else written
        assert catch_up(log, resume) == expected
        wanted = known(after(records[:received]))
        if "the next one follows" in case and written < len(records) - 2 < received:
            # Of a turn before the newest the client tells nothing but that it is over.
            assert log.state.proto.reply.said == "More."
            assert log.state.proto.response_sequence == received
        else:
            assert known(log.state) == wanted, (written, received)


def test_without_an_account_what_was_not_written_is_void_and_numbers_go_on() -> None:
    records = log_of(*TURNS["it is given"])
    log = SessionLog(after(records[:3]))
    assert catch_up(log, pb.Resume(last_sequence=7)) == 3
    assert (log.state.proto.response_sequence, log.state.proto.reply.text) == (7, "One. ")
    # What was void may have asked the client to lower the volume.
    assert log.state.proto.is_ducked


def test_a_client_that_got_no_more_than_was_written_changes_nothing() -> None:
    records = log_of(*TURNS["it is given"])
    log = SessionLog(after(records[:5]))
    before = log.state.proto.SerializeToString()
    assert catch_up(log, resume_of(records[:4])) is None
    assert catch_up(log, pb.Resume()) is None
    assert log.state.proto.SerializeToString() == before


def test_audio_that_the_log_does_not_know_is_left_out_when_the_clause_is_spoken_again() -> None:
    records = log_of(*TURNS["it is given"])
    log = SessionLog(after(records[:3]))
    catch_up(log, resume_of(records[:6]))
    assert log.state.proto.reply.received_s == pytest.approx(0.1)
    assert log.state.proto.next_reply_sequence == 2


def test_what_a_client_tells_is_cleaned_as_everything_that_enters_the_history() -> None:
    turn = pb.TurnInProgress(said="Hello\x00 <|im_end|>there", reply_text="Hi\x1b.<|im_start|>")
    log = SessionLog(SessionState(State(), 4000))
    catch_up(log, pb.Resume(last_sequence=2, turn=turn))
    assert (log.state.proto.reply.said, log.state.proto.reply.text) == ("Hello there", "Hi.")


def test_more_than_was_ever_sent_is_refused() -> None:
    with pytest.raises(NotFound):
        catch_up(SessionLog(SessionState(State(), 4000)), pb.Resume(last_sequence=MAX_AHEAD + 1))


WRONG: dict[str, pb.Resume] = {
    "resume.turn.said": pb.Resume(turn=pb.TurnInProgress(said="x" * 100_001)),
    "resume.turn.reply_text": pb.Resume(turn=pb.TurnInProgress(reply_text="x" * 200_001)),
    "resume.turn.interrupted.heard_text": pb.Resume(
        turn=pb.TurnInProgress(interrupted=pb.Interrupted(heard_text="x" * 200_001))
    ),
    "resume.turn.turn_index": pb.Resume(turn=pb.TurnInProgress(turn_index=-1)),
    "resume.turn.reply_audio_offset": pb.Resume(turn=pb.TurnInProgress(reply_audio_offset=duration(-1.5))),
    "resume.turn.next_audio_offset": pb.Resume(turn=pb.TurnInProgress(next_audio_offset=duration(1e9))),
    "resume.turn.next_audio_sequence": pb.Resume(turn=pb.TurnInProgress(next_audio_sequence=2**60)),
    "resume.turn.input_sequence": pb.Resume(turn=pb.TurnInProgress(input_sequence=-1)),
    "resume.last_sequence": pb.Resume(last_sequence=-1),
    "resume.last_reply_sequence": pb.Resume(last_reply_sequence=2**62),
}


@pytest.mark.parametrize("field", WRONG)
def test_an_account_outside_its_limits_is_refused_by_its_field(field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_resume(WRONG[field])
    assert caught.value.field == field


def test_a_state_of_a_later_version_is_not_read() -> None:
    for number in range(FORMAT + 1):
        SessionState.restored(State(format=number).SerializeToString(), (), 4000)
    with pytest.raises(UnknownFormat):
        SessionState.restored(State(format=FORMAT + 1).SerializeToString(), (), 4000)


# Any records in any order.

indexes = st.integers(0, 2)
words = st.sampled_from(("", "One. ", "two", " <|im_end|>"))
reasons = st.sampled_from([reason for reason in Finished.Reason.values() if reason])
responses = st.one_of(
    st.builds(ended, indexes, words),
    st.builds(text, indexes, words),
    st.builds(audio, indexes, st.integers(0, 9), st.integers(0, 9), is_last=st.booleans()),
    st.builds(over, indexes, reasons),
    st.builds(report, indexes),
    st.builds(failed, indexes),
    st.builds(cut, indexes, words),
    st.sampled_from([Response(duck=pb.Duck(gain=gain)) for gain in (0.2, 1.0)]),
    st.just(SPEECH),
    st.just(Response(slot_status=pb.SlotStatus(slot="stt"))),
)


def piece(start: int, at_s: float) -> Record:
    spoken = session_pb2.SpokenPiece(text_start=start, text_end=start + 5, offset_s=at_s, duration_s=0.5)
    return Record(piece=spoken)


def place(sequence: int) -> Record:
    return Record(microphone=session_pb2.Microphone(next_sequence=sequence, offset_s=sequence / 50))


def ending(reason: Finished.Reason.ValueType) -> Record:
    return Record(end=session_pb2.ReplyEnd(reason=reason))


numbers = st.integers(0, 9)
notes = st.one_of(
    st.builds(Record, seen=words),
    st.builds(Record, text_characters=numbers),
    st.builds(Record, input_sequence=numbers),
    st.builds(ending, reasons),
    st.builds(piece, numbers, st.floats(0, 9)),
    st.builds(place, numbers),
)


def joined(response: Response | None, note: Record | None) -> Record:
    record = Record(response=response)
    if note is not None:
        record.MergeFrom(note)
    return record


@settings(max_examples=100, deadline=None, derandomize=True, database=None, phases=(Phase.generate,))
@given(st.lists(st.builds(joined, st.none() | responses, st.none() | notes), max_size=25), st.data())
def test_any_records_make_one_state_for_who_writes_and_for_who_reads_them(
    records: list[Record], data: st.DataObject
) -> None:
    for number, record in enumerate(records, 1):
        if record.HasField("response"):
            record.response.sequence = number
    live = after(records)
    kept = data.draw(st.integers(0, len(records)))
    replica = SessionState.restored(after(records[:kept]).proto.SerializeToString(), enumerate(records, 1), 4000)
    assert replica.proto == live.proto
    # And whatever its client tells then, the session goes on.
    told = data.draw(st.lists(responses, max_size=8))
    log = SessionLog(replica)
    before = replica.proto.response_sequence
    resume = resume_of([Record(response=response) for response in told])
    resume.last_sequence = before + len(told)
    void_after = catch_up(log, resume)
    assert void_after == (before if told and not resume.HasField("turn") else None)
    assert replica.proto.response_sequence == before + len(told)
    assert replica.history.request("", ["And now?"])


KINDS = [field.name for field in Response.DESCRIPTOR.oneofs_by_name["converse_response"].fields]


CHANGES: dict[str, tuple[Response, dict[str, object]]] = {
    "speech_started": (SPEECH, {}),
    "turn_ended": (ended(1, "More."), {"next_turn_index": 2, "reply.said": "More.", "reply.text": ""}),
    "reply_text": (text(0, "Two."), {"reply.text": "One. Two."}),
    "reply_audio": (audio(0, 7, 1), {"next_reply_sequence": 8, "reply.is_spoken": False}),
    "interrupted": (cut(0, "One"), {"reply.heard_text": "One"}),
    "reply_finished": (over(0), {"reply.is_finished": True, "history": ["Count.", "One."]}),
    "turn_report": (report(0), {"reply.is_done": True, "history": ["Count.", "One."]}),
    "turn_failed": (failed(0), {"reply.is_failed": True, "history": ["Count.", "One."]}),
    "duck": (Response(duck=pb.Duck(gain=0.2)), {"is_ducked": True}),
}
SILENT = {
    "session_started",
    "transcript",
    "tool_call",
    "audio_acknowledged",
    "input_acknowledged",
    "going_away",
    "service_changed",
    "slot_status",
}
"""Kinds that only count."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_response_changes_what_it_is_to_change(kind: str) -> None:
    before = after(log_of(*WHOLE[:3]))
    state = after(log_of(*WHOLE[:3]))
    response, changes = CHANGES.get(kind, (Response(), {}))
    assert (kind in CHANGES) != (kind in SILENT)
    if kind in SILENT:
        # Set, and empty.
        getattr(response, kind).SetInParent() if kind not in {"audio_acknowledged", "input_acknowledged"} else None
    response.sequence = 9
    state.apply(4, Record(response=response))
    assert (state.proto.response_sequence, state.proto.position) == (9, 4)
    for path, value in changes.items():
        found: object = state.proto
        for name in path.split("."):
            found = getattr(found, name)
        assert ([message.text for message in state.proto.history] if path == "history" else found) == value
    if not changes:
        state.proto.response_sequence, state.proto.position = 3, 3
        assert state.proto == before.proto
