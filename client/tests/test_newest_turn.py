"""What a client tells of its newest turn when it comes back."""

from __future__ import annotations

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2 as pb
from voxmesh_client.newest_turn import NewestTurn
from voxmesh_runtime.clock import duration

pytestmark = pytest.mark.unit

Response = pb.ConverseResponse
Finished = pb.ReplyFinished
ENDED = Response(
    turn_ended=pb.TurnEnded(
        turn_index=3, text="Count.", next_audio_sequence=50, next_audio_offset=duration(1.0), input_sequence=4
    )
)
SAID = pb.TurnInProgress(
    turn_index=3, said="Count.", next_audio_sequence=50, next_audio_offset=duration(1.0), input_sequence=4
)


def text(delta: str, turn_index: int = 3) -> Response:
    return Response(reply_text=pb.ReplyText(turn_index=turn_index, delta=delta))


def audio(sequence: int, offset_s: float, data: bytes = b"", *, is_last: bool = False) -> Response:
    return Response(
        reply_audio=pb.ReplyAudio(
            turn_index=3, sequence=sequence, offset=duration(offset_s), data=data, is_last=is_last
        )
    )


def told(*responses: Response, **config: object) -> pb.Resume:
    newest = NewestTurn(pb.ConversationConfig(**config))  # pyright: ignore[reportArgumentType] # fields of the message
    for sequence, response in enumerate(responses, 1):
        response.sequence = sequence
        newest.take(response.WhichOneof("converse_response") or "", response)
    resume = pb.Resume()
    newest.tell(resume)
    return resume


def turn(**fields: object) -> pb.TurnInProgress:
    whole = pb.TurnInProgress(**fields)  # pyright: ignore[reportArgumentType] # fields of the message
    whole.MergeFrom(SAID)
    return whole


CUT, STOPPED = pb.Interrupted(turn_index=3, heard_text="One"), Finished(turn_index=3, reason=Finished.REASON_CANCELLED)
FAILED, REPORT = pb.TurnFailed(turn_index=3, code=14), pb.TurnReport(turn_index=3)
HALF = bytes(24_000)
TOLD: dict[str, tuple[list[Response], pb.TurnInProgress]] = {
    "it ended": ([ENDED], SAID),
    "its reply begins": ([ENDED, text("One, "), text("two.")], turn(reply_text="One, two.")),
    "another turn's text is not its own": ([ENDED, text("One", turn_index=2)], SAID),
    "it is cut": (
        [ENDED, text("One two."), Response(interrupted=CUT), Response(reply_finished=STOPPED)],
        turn(reply_text="One two.", interrupted=CUT, reply_finished=STOPPED),
    ),
    "it failed and is reported": (
        [ENDED, Response(turn_failed=FAILED), Response(turn_report=REPORT)],
        turn(is_failed=True, is_finished=True),
    ),
    "a later one failed before it ended": (
        [ENDED, Response(turn_failed=pb.TurnFailed(turn_index=4))],
        pb.TurnInProgress(turn_index=4, is_failed=True, is_finished=True),
    ),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_was_received_of_it_is_told(case: str) -> None:
    responses, expected = TOLD[case]
    assert told(*responses) == pb.Resume(turn=expected)


def test_audio_is_told_by_where_it_ends() -> None:
    resume = told(ENDED, audio(7, 0.0, HALF), audio(8, 0.5, HALF), audio(9, 1.0, is_last=True))
    assert resume.last_reply_sequence == 9
    assert resume.turn == turn(reply_audio_offset=duration(1.0), is_spoken=True)
    slow = common_pb2.AudioFormat(encoding=common_pb2.AudioFormat.ENCODING_PCM_S16LE, sample_rate_hertz=8000)
    assert told(ENDED, audio(7, 0.0, HALF), reply_audio_format=slow).turn.reply_audio_offset == duration(1.5)


def test_before_the_first_turn_nothing_is_told() -> None:
    assert told(Response(speech_started=duration(1))) == pb.Resume()


@pytest.mark.parametrize(("after", "first"), [(0, 3), (1, None), (5, None)])
def test_a_turn_that_ended_beyond_what_holds_never_was(after: int, first: int | None) -> None:
    newest = NewestTurn(pb.ConversationConfig())
    newest.take("turn_ended", Response(turn_ended=ENDED.turn_ended, sequence=1))
    assert newest.void(after) == first
    resume = pb.Resume()
    newest.tell(resume)
    assert resume == pb.Resume()
