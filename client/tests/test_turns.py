"""Turns put together from events, and audio kept for a resume."""

from __future__ import annotations

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import SessionReplaced, SpeechStarted
from voxmesh_client.cli.demo import likeness
from voxmesh_client.cli.show import print_end, turn_dict
from voxmesh_client.tool_results import ToolResults
from voxmesh_client.turns import TurnLog
from voxmesh_client.unacknowledged import (
    MAX_KEPT_AUDIO_BYTES,
    MAX_KEPT_CHUNKS,
    Unacknowledged,
    UnacknowledgedInputs,
)

pytestmark = pytest.mark.unit

ReplyFinished = conversation_pb2.ReplyFinished


def test_a_turn_gathers_its_reply_and_is_over_with_its_report() -> None:
    log = TurnLog()
    log.take(SpeechStarted(0.3))
    log.take(conversation_pb2.TurnEnded(turn_index=0, text="hello"))
    for delta in ("good ", "morning"):
        log.take(conversation_pb2.ReplyText(turn_index=0, delta=delta))
    log.take(conversation_pb2.ReplyAudio(turn_index=0, data=b"ab"))
    assert not log.is_answered
    turn = log.take(conversation_pb2.TurnReport(turn_index=0))
    assert turn is not None
    assert (turn.text, turn.reply, turn.audio) == ("hello", "good morning", [b"ab"])
    assert log.is_answered


def test_a_turn_that_never_was_is_forgotten() -> None:
    log = TurnLog()
    for index in range(3):
        log.take(conversation_pb2.TurnEnded(turn_index=index, text="hello"))
    log.take(SessionReplaced("lost", resumed=True, void_turn=1))
    assert [turn.index for turn in log.turns] == [0]


def test_a_turn_knows_why_its_reply_is_over_and_a_person_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = TurnLog()
    for index, reason in enumerate((ReplyFinished.REASON_COMPLETED, ReplyFinished.REASON_NOTHING_SAID)):
        log.take(conversation_pb2.TurnEnded(turn_index=index, text="hello"))
        turn = log.take(ReplyFinished(turn_index=index, reason=reason))
        assert turn is not None
        assert not turn.is_over
        print_end(turn)
    assert " ".join(capsys.readouterr().err.split()) == "voxmesh: turn 1: the model ended its answer without a word"
    assert [turn_dict(turn)["reason"] for turn in log.turns] == ["COMPLETED", "NOTHING_SAID"]


def test_c3_results_are_kept_until_their_own_turn_is_over() -> None:
    results = ToolResults()
    results.begin(1)
    assert results.is_new("call_1_0")
    assert results.is_new("call_1_1")
    assert not results.is_new("call_1_0")
    results.add(conversation_pb2.ToolResult(call_id="call_1_0", content="booked"))
    # Something that was said meanwhile was not understood.
    results.over(2)
    assert [result.content for result in results.given()] == ["booked"]
    results.over(1)
    assert list(results.given()) == []


def test_nothing_is_answered_while_somebody_speaks() -> None:
    log = TurnLog()
    log.take(conversation_pb2.TurnEnded(turn_index=0, text="one"))
    log.take(conversation_pb2.TurnFailed(turn_index=0, message="no"))
    assert log.is_answered
    log.take(SpeechStarted(3.0))
    assert not log.is_answered


def test_open_turns_of_a_lost_session_have_failed() -> None:
    log = TurnLog()
    log.take(conversation_pb2.TurnEnded(turn_index=0, text="one"))
    log.take(SessionReplaced("it broke", resumed=False))
    assert log.turns[0].failure is not None
    log.take(conversation_pb2.TurnEnded(turn_index=0, text="two"))
    log.take(conversation_pb2.ReplyText(turn_index=0, delta="reply"))
    assert [turn.reply for turn in log.turns] == ["", "reply"]


def test_acknowledged_audio_is_forgotten() -> None:
    kept = Unacknowledged()
    for number in range(5):
        assert kept.add(bytes([number])).sequence == number
    kept.acknowledge(2)
    assert [(chunk.sequence, chunk.data) for chunk in kept] == [(3, b"\3"), (4, b"\4")]
    kept.acknowledge(1)
    assert len(kept) == 2


def test_a_new_session_counts_from_0_without_gaps() -> None:
    kept = Unacknowledged()
    for number in range(5):
        kept.add(bytes([number]))
    kept.acknowledge(2)
    kept.renumber()
    kept.add(b"\5")
    assert [(chunk.sequence, chunk.data) for chunk in kept] == [(0, b"\3"), (1, b"\4"), (2, b"\5")]


def test_kept_audio_is_bounded() -> None:
    kept = Unacknowledged()
    for _ in range(MAX_KEPT_CHUNKS + 10):
        kept.add(b"x")
    assert len(kept) == MAX_KEPT_CHUNKS
    assert next(iter(kept)).sequence == 10
    kept.add(bytes(MAX_KEPT_AUDIO_BYTES))
    assert len(kept) == 1


def test_kept_pictures_are_bounded() -> None:
    kept = UnacknowledgedInputs()
    for _ in range(6):
        kept.add(conversation_pb2.ConverseRequest(image=conversation_pb2.Image(data=bytes(8 * 1024 * 1024))))
    assert [request.input_sequence for request in kept.since(0)] == [4, 5, 6]


def test_likeness_ignores_case_and_punctuation() -> None:
    assert likeness("Paris, is it?", "paris is it") == 1.0
    assert likeness("Paris is the capital.", "Bananas grow on trees.") < 0.6
