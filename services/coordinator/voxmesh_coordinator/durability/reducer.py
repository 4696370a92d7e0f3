"""A session's state as its log tells it, so that it is the same for who writes the log and for who reads it later."""

from __future__ import annotations

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.history import History
from voxmesh_coordinator.reply.ending import CUT, Reason, ReplyFinished

Record = session_pb2.Record
State = session_pb2.State
Response = conversation_pb2.ConverseResponse
COMPLETED = ReplyFinished.REASON_COMPLETED


class SessionReducer:
    """Takes records one after another.

    Args:
        state: before the first record.
        history_characters: as in `History`.
    """

    def __init__(self, state: State, history_characters: int) -> None:
        self._state = State()
        self._state.CopyFrom(state)
        self.history = History(history_characters, state.history)
        """What was said and heard; both who writes the log and who reads it have it from here alone."""

    def state(self) -> State:
        """After the records taken so far."""
        state = State()
        state.CopyFrom(self._state)
        del state.history[:]
        state.history.extend(self.history.items)
        return state

    def take(self, position: int, record: Record) -> None:
        """The record at the next place of the log."""
        state = self._state
        state.position = position
        if record.HasField("microphone"):
            state.microphone.CopyFrom(record.microphone)
        state.input_sequence = max(state.input_sequence, record.input_sequence)
        is_new = record.response.HasField("turn_ended")
        if state.HasField("reply") and not is_new:
            self._take_notes(record)
        if record.HasField("response"):
            state.response_sequence = record.response.sequence
            self._take_response(record.response)
        if is_new:
            # The rest of what came with the end of a turn was noted for the reply before.
            self._take_turn(record)

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
            case "reply_finished" if self._is_of_reply(response.reply_finished.turn_index):
                self._finished(response.reply_finished.reason)
            case "turn_report" if self._is_of_reply(response.turn_report.turn_index):
                self._reported()
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
        reply = self._state.reply
        if reply.is_finished or reply.is_done:
            # It had been given to its end, and was still being played.
            self.history.cut(reply, heard_text)
            self._state.ClearField("reply")
        else:
            reply.heard_text = heard_text

    def _finished(self, reason: Reason) -> None:
        """The one place where a turn enters the history; only the first end of a reply counts."""
        reply = self._state.reply
        if not (reply.is_finished or reply.is_done):
            reply.end.reason, reply.is_finished = reason, True
            self.history.add(reply)

    def _reported(self) -> None:
        reply = self._state.reply
        # In a log of the version before there is no other end.
        self._finished(ReplyFinished.REASON_INTERRUPTED if reply.HasField("heard_text") else COMPLETED)
        if reply.end.reason in CUT or reply.is_failed:
            self._state.ClearField("reply")
        else:
            reply.is_done = True

    def _failed(self, failed: conversation_pb2.TurnFailed) -> None:
        state = self._state
        state.next_turn_index = max(state.next_turn_index, failed.turn_index + 1)
        if self._is_of_reply(failed.turn_index):
            self._finished(ReplyFinished.REASON_FAILED)
            state.reply.is_failed = True

    def _take_turn(self, record: Record) -> None:
        """What came with the end of a turn."""
        reply = self._state.reply
        reply.images.extend(record.images)
        if record.HasField("trace_context"):
            reply.trace_context.CopyFrom(record.trace_context)
        self._take_seen(record)

    def _take_notes(self, record: Record) -> None:
        """What is noted of the reply in progress; results before calls, for they are of an earlier record's."""
        reply = self._state.reply
        self._take_seen(record)
        if record.HasField("piece"):
            reply.pieces.append(record.piece)
        reply.words.extend(record.words)
        if record.HasField("text_characters"):
            reply.text_characters = record.text_characters
        if record.HasField("end"):
            reply.end.CopyFrom(record.end)
        for answer in record.tool_answers:
            for each in reply.rounds:
                if answer.tool_call_id in {call.call_id for call in each.calls}:
                    each.answers.append(answer)
        if record.tool_calls:
            reply.rounds.add(text_characters=record.text_before_calls, calls=record.tool_calls)

    def _take_seen(self, record: Record) -> None:
        reply = self._state.reply
        if record.HasField("seen"):
            reply.seen = record.seen
            del reply.images[:]
