"""What a client that comes back has got beyond the log: its limits, and its place in the log."""

from __future__ import annotations

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.durability.log import Record, SessionLog
from voxmesh_runtime.errors import InvalidArgument, NotFound
from voxmesh_runtime.refusals import check_count

MAX_SAID_CHARACTERS = 100_000
"""Longest text of a turn."""
MAX_REPLY_CHARACTERS = 200_000
"""Longest text of a reply."""
MAX_AHEAD = 5000
"""Responses that a client may have got beyond the log; with more the session was not kept any more."""
_MAX_NUMBER = 2**53
_MAX_TURN_INDEX = 2**31 - 2
_MAX_OFFSET_S = 30 * 24 * 3600


def check_resume(resume: conversation_pb2.Resume) -> None:
    """Look at what a client tells of its newest turn.

    Raises:
        InvalidArgument: a field is outside its limits.
    """
    turn = resume.turn
    texts = {
        "said": (turn.said, MAX_SAID_CHARACTERS),
        "reply_text": (turn.reply_text, MAX_REPLY_CHARACTERS),
        "interrupted.heard_text": (turn.interrupted.heard_text, MAX_REPLY_CHARACTERS),
    }
    for name, (text, most) in texts.items():
        check_count(f"resume.turn.{name}", len(text), most)
    numbers = {
        "last_reply_sequence": (resume.last_reply_sequence, _MAX_NUMBER),
        "last_sequence": (resume.last_sequence, _MAX_NUMBER),
        "turn.turn_index": (turn.turn_index, _MAX_TURN_INDEX),
        "turn.next_audio_sequence": (turn.next_audio_sequence, _MAX_NUMBER),
        "turn.input_sequence": (turn.input_sequence, _MAX_NUMBER),
        "turn.reply_audio_offset": (turn.reply_audio_offset.seconds, _MAX_OFFSET_S),
        "turn.next_audio_offset": (turn.next_audio_offset.seconds, _MAX_OFFSET_S),
    }
    for name, (number, most) in numbers.items():
        if not 0 <= number <= most:
            raise InvalidArgument(f"resume.{name}", f"must be 0 to {most}, not {number}")


def catch_up(log: SessionLog, resume: conversation_pb2.Resume) -> int | None:
    """Take into a claimed session what its client has got from the owner before, which could not write that.

    Returns:
        The sequence after which what the client has got is void; None when nothing is.

    Raises:
        NotFound: the log ends too long before that.
    """
    known = log.state.proto.response_sequence
    if not resume.HasField("last_sequence") or resume.last_sequence <= known:
        return None
    if resume.last_sequence > known + MAX_AHEAD:
        message = "what the client has got was not kept; start a new session with a config"
        raise NotFound("session", resume.session_id, message)
    resumed = conversation_pb2.Resume(last_sequence=resume.last_sequence)
    if resume.HasField("turn"):
        resumed.turn.CopyFrom(resume.turn)
        if resume.HasField("last_reply_sequence"):
            resumed.last_reply_sequence = resume.last_reply_sequence
    log.append(Record(resumed=resumed))
    return None if resume.HasField("turn") else known
