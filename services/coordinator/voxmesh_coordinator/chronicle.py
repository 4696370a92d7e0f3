"""A session's state as its log tells it, so that it is the same for who writes the log and for who reads it later."""

from __future__ import annotations

from collections.abc import Iterable

import grpc

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.history import History

Record = session_pb2.Record
State = session_pb2.State
Response = conversation_pb2.ConverseResponse

INVALID_ARGUMENT: int = grpc.StatusCode.INVALID_ARGUMENT.value[0]


class Chronicle:
    """Takes records one after another.

    Args:
        state: before the first record.
        history_characters: as in `History`.
    """

    def __init__(self, state: State, history_characters: int) -> None:
        self._state = State()
        self._state.CopyFrom(state)
        self._history = History("", history_characters, state.history)

    def state(self) -> State:
        """After the records taken so far."""
        state = State()
        state.CopyFrom(self._state)
        del state.history[:]
        state.history.extend(self._history.turns)
        return state

    def take(self, position: int, record: Record) -> None:
        """The record at the next place of the log."""
        state = self._state
        state.position = position
        if record.HasField("microphone"):
            state.microphone.CopyFrom(record.microphone)
        state.input_sequence = max(state.input_sequence, record.input_sequence)
        if record.HasField("response"):
            state.response_sequence = record.response.sequence
            self._take_response(record.response)
        if state.HasField("reply"):
            self._take_notes(record, is_new=record.response.HasField("turn_ended"))

    def _take_response(self, response: Response) -> None:
        match response.WhichOneof("converse_response"):
            case "turn_ended":
                ended = response.turn_ended
                self._state.next_turn_index = ended.turn_index + 1
                self._state.reply.CopyFrom(session_pb2.Reply(turn_index=ended.turn_index, said=ended.text))
            case "reply_text" if self._is_of_reply(response.reply_text.turn_index):
                self._state.reply.text += response.reply_text.delta
            case "reply_audio":
                self._take_audio(response.reply_audio)
            case "duck":
                self._state.is_ducked = response.duck.gain < 1
            case "interrupted" if self._is_of_reply(response.interrupted.turn_index):
                self._interrupted(response.interrupted.heard_text)
            case "turn_report" if self._is_of_reply(response.turn_report.turn_index):
                self._done()
            case "turn_failed":
                self._failed(response.turn_failed)
            case _:
                pass

    def _is_of_reply(self, turn_index: int) -> bool:
        return self._state.HasField("reply") and self._state.reply.turn_index == turn_index

    def _take_audio(self, audio: conversation_pb2.ReplyAudio) -> None:
        self._state.next_reply_sequence = audio.sequence + 1
        if audio.is_last and self._is_of_reply(audio.turn_index):
            self._state.reply.is_spoken = True

    def _interrupted(self, heard_text: str) -> None:
        if self._state.reply.is_done:
            self._history.cut_reply(heard_text)
        else:
            self._history.add_user(*said(self._state.reply))
            self._history.add_reply(heard_text)
        self._state.ClearField("reply")

    def _done(self) -> None:
        reply = self._state.reply
        if not reply.is_done:
            self._history.add_user(*said(reply))
            self._history.add_reply(reply.text)
            reply.is_done = True

    def _failed(self, failed: conversation_pb2.TurnFailed) -> None:
        state = self._state
        state.next_turn_index = max(state.next_turn_index, failed.turn_index + 1)
        if self._is_of_reply(failed.turn_index):
            if failed.code != INVALID_ARGUMENT:
                self._history.add_user(*said(state.reply))
            state.ClearField("reply")

    def _take_notes(self, record: Record, *, is_new: bool) -> None:
        reply = self._state.reply
        reply.images.extend(record.images)
        if record.HasField("trace_context"):
            reply.trace_context.CopyFrom(record.trace_context)
        if record.HasField("seen"):
            reply.seen = record.seen
            del reply.images[:]
        if is_new:
            # The rest of what came with the end of a turn was noted for the reply before.
            return
        if record.HasField("piece"):
            reply.pieces.append(record.piece)
        reply.words.extend(record.words)
        if record.HasField("text_characters"):
            reply.text_characters = record.text_characters
        if record.tool_calls:
            reply.rounds.add(text_characters=len(reply.text), calls=record.tool_calls)
        if record.tool_answers and reply.rounds:
            reply.rounds[-1].answers.extend(record.tool_answers)


def said(reply: session_pb2.Reply) -> Iterable[str]:
    """What the history is told of the turn that a reply answers."""
    return [reply.said, reply.seen] if reply.seen else [reply.said]
