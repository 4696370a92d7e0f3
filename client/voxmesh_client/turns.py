"""The turns of a conversation, put together from its events."""

from __future__ import annotations

from dataclasses import dataclass, field

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.events import Event, SessionReplaced, SpeechStarted


@dataclass(slots=True)
class Turn:
    """What was said, and what came back."""

    index: int
    text: str
    reply: str = ""
    audio: list[bytes] = field(default_factory=list[bytes])
    """Pieces of the reply, in the session's reply format."""
    interrupted: conversation_pb2.Interrupted | None = None
    finished: conversation_pb2.ReplyFinished | None = None
    """Why the reply is over; None from coordinators that do not tell."""
    report: conversation_pb2.TurnReport | None = None
    failure: conversation_pb2.TurnFailed | None = None

    @property
    def is_over(self) -> bool:
        """True when nothing of it follows."""
        return self.report is not None or self.failure is not None


class TurnLog:
    """All turns since the conversation began."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.is_speaking = False
        """True from the start of speech to the end of its turn."""

    @property
    def is_answered(self) -> bool:
        """True when there was a turn and nothing is open."""
        return bool(self.turns) and not self.is_speaking and all(turn.is_over for turn in self.turns)

    @property
    def has_speech(self) -> bool:
        """True once somebody has spoken."""
        return self.is_speaking or bool(self.turns)

    def take(self, event: Event) -> Turn | None:
        """Add an event and give the turn it belongs to, if that is known."""
        match event:
            case SpeechStarted():
                self.is_speaking = True
            case SessionReplaced():
                self.is_speaking = False
                if event.void_turn is not None:
                    self.turns = [turn for turn in self.turns if turn.index < event.void_turn]
                for turn in self.turns:
                    lost = conversation_pb2.TurnFailed(turn_index=turn.index, message="the connection was lost")
                    turn.failure = lost if not turn.is_over else turn.failure
            case conversation_pb2.TurnEnded():
                self.is_speaking = False
                self.turns.append(Turn(event.turn_index, event.text))
                return self.turns[-1]
            case _:
                return self._take_reply(event)
        return None

    def _take_reply(self, event: Event) -> Turn | None:
        turn = self._turn(getattr(event, "turn_index", None))
        if turn is None:
            return None
        match event:
            case conversation_pb2.ReplyText():
                turn.reply += event.delta
            case conversation_pb2.ReplyAudio():
                turn.audio.append(event.data)
            case conversation_pb2.Interrupted():
                turn.interrupted = event
            case conversation_pb2.ReplyFinished():
                turn.finished = event
            case conversation_pb2.TurnReport():
                turn.report = event
            case conversation_pb2.TurnFailed():
                turn.failure = event
            case _:
                pass
        return turn

    def _turn(self, index: int | None) -> Turn | None:
        """The newest turn with an index; a replaced session counts from 0 again."""
        return next((turn for turn in reversed(self.turns) if turn.index == index), None)
