"""What happens in a conversation, as its client sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.clock import seconds_of


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The person began to speak, `offset_s` seconds into the microphone's audio."""

    offset_s: float


@dataclass(frozen=True, slots=True)
class SessionReplaced:
    """The stream broke or moved and goes on in another one."""

    reason: str
    """What ended the stream before, for a person."""
    resumed: bool
    """True when the session was continued; false when a new one began, which knows no earlier turn."""
    void_turn: int | None = None
    """The turn with this index, and those after it, never were; what holds is told again. None in nearly all cases:
    a coordinator died that had said more than it could write, and this client could not help it out."""


Event: TypeAlias = (
    SpeechStarted
    | SessionReplaced
    | stt_pb2.RecognitionResult
    | conversation_pb2.TurnEnded
    | conversation_pb2.ReplyText
    | conversation_pb2.ReplyAudio
    | conversation_pb2.Interrupted
    | conversation_pb2.Duck
    | conversation_pb2.ToolCall
    | conversation_pb2.TurnReport
    | conversation_pb2.TurnFailed
    | conversation_pb2.ServiceChanged
    | conversation_pb2.ReplyFinished
    | conversation_pb2.SlotStatus
)


def event_of(kind: str, response: conversation_pb2.ConverseResponse) -> Event | None:
    """The event of a coordinator's message; None when the client deals with it by itself."""
    match kind:
        case "session_started" | "audio_acknowledged" | "input_acknowledged" | "going_away" | "":
            return None
        case "speech_started":
            return SpeechStarted(seconds_of(response.speech_started))
        case _:
            return getattr(response, kind)
