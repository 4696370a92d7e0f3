"""What is kept of a session, and the one reducer that changes it, for who says it and for who takes it over.

records, in order ──► apply ──► State: config, history, the latest reply, next numbers, the microphone's place

A prefix of a session's log is a session, so a coordinator may die between any two records.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self, TypeAlias

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.cleaning import cleaned
from voxmesh_coordinator.durability.history import History

Record = session_pb2.Record
State = session_pb2.State
Response = conversation_pb2.ConverseResponse
ReplyFinished = conversation_pb2.ReplyFinished
Reason: TypeAlias = "ReplyFinished.Reason.ValueType"

FORMAT = 1
"""What this coordinator writes; it reads the one before it too, so that an upgrade may roll."""
CUT = (ReplyFinished.REASON_INTERRUPTED, ReplyFinished.REASON_CANCELLED)
"""Reasons of replies that were not given to their end."""


class UnknownFormat(ValueError):
    """The session was written by a coordinator of another version that this one does not read."""


class SessionState:
    """A session after the records applied so far.

    Args:
        state: before the first record.
        history_characters: as in `History`.
    """

    def __init__(self, state: State, history_characters: int) -> None:
        self.proto = State()
        """Read by whoever needs it, changed by `apply` alone."""
        self.proto.CopyFrom(state)
        self.proto.format = FORMAT
        self.history = History(history_characters, self.proto.history)
        """What was said and heard."""

    @classmethod
    def restored(cls, kept: bytes, log: Iterable[tuple[int, Record]], history_characters: int) -> Self:
        """A session as it was kept: the state and the log, some of which may lie before the state.

        Raises:
            UnknownFormat: another version wrote it.
        """
        proto = State.FromString(kept)
        if not FORMAT - 1 <= proto.format <= FORMAT:
            raise UnknownFormat(proto.format)
        state = cls(proto, history_characters)
        for position, record in log:
            if position > proto.position:
                state.apply(position, record)
        return state

    def apply(self, position: int, record: Record) -> None:
        """Take the record at the next place of the log."""
        state = self.proto
        state.position = position
        if record.HasField("microphone"):
            state.microphone.CopyFrom(record.microphone)
        state.input_sequence = max(state.input_sequence, record.input_sequence)
        if record.HasField("resumed"):
            self._resumed(record.resumed)
        is_new = record.response.HasField("turn_ended")
        if state.HasField("reply") and not is_new:
            _take_notes(state.reply, record)
        if record.HasField("response"):
            state.response_sequence = record.response.sequence
            self._responded(record.response)
        if is_new:
            # The rest of what came with the end of a turn was noted for the reply before.
            _take_turn(state.reply, record)

    def reply_of(self, turn_index: int) -> session_pb2.Reply | None:
        """The latest reply, if it is to this turn."""
        is_it = self.proto.HasField("reply") and self.proto.reply.turn_index == turn_index
        return self.proto.reply if is_it else None

    def _responded(self, response: Response) -> None:
        kind = response.WhichOneof("converse_response") or ""
        match kind:
            case "turn_ended":
                self._turn_ended(response.turn_ended.turn_index, response.turn_ended.text)
            case "duck":
                self.proto.is_ducked = response.duck.gain < 1
            case "reply_audio":
                self.proto.next_reply_sequence = response.reply_audio.sequence + 1
            case "turn_failed":
                self._next_turn_is_after(response.turn_failed.turn_index)
            case _:
                pass
        reply = self.reply_of(getattr(getattr(response, kind, None), "turn_index", -1))
        if reply is not None:
            self._replied(reply, kind, response)

    def _replied(self, reply: session_pb2.Reply, kind: str, response: Response) -> None:
        """A response is of the latest reply."""
        match kind:
            case "reply_text":
                reply.text += response.reply_text.delta
            case "reply_audio":
                reply.is_spoken |= response.reply_audio.is_last
            case "interrupted":
                self._interrupted(reply, response.interrupted.heard_text)
            case "reply_finished":
                self._finished(reply, response.reply_finished.reason)
            case "turn_report":
                self._reported(reply)
            case "turn_failed":
                self._finished(reply, ReplyFinished.REASON_FAILED)
                reply.is_failed = True
            case _:
                pass

    def _turn_ended(self, turn_index: int, said: str) -> None:
        self.proto.next_turn_index = turn_index + 1
        self.proto.reply.CopyFrom(session_pb2.Reply(turn_index=turn_index, said=said))

    def _next_turn_is_after(self, turn_index: int) -> None:
        self.proto.next_turn_index = max(self.proto.next_turn_index, turn_index + 1)

    def _interrupted(self, reply: session_pb2.Reply, heard_text: str) -> None:
        if reply.is_finished or reply.is_done:
            # It had been given to its end, and was still being played.
            self.history.cut(reply, heard_text)
            self.proto.ClearField("reply")
        else:
            reply.heard_text = heard_text
            reply.end.reason = reply.end.reason or ReplyFinished.REASON_INTERRUPTED

    def _finished(self, reply: session_pb2.Reply, reason: Reason) -> None:
        """The one place where a turn enters the history; only the first end of a reply counts."""
        if not (reply.is_finished or reply.is_done):
            reply.end.reason, reply.is_finished = reason, True
            self.history.add(reply)

    def _reported(self, reply: session_pb2.Reply) -> None:
        # Versions before told no other end.
        was_cut = reply.HasField("heard_text")
        self._finished(reply, ReplyFinished.REASON_INTERRUPTED if was_cut else ReplyFinished.REASON_COMPLETED)
        if reply.end.reason in CUT or reply.is_failed:
            self.proto.ClearField("reply")
        else:
            reply.is_done = True

    def _resumed(self, resume: conversation_pb2.Resume) -> None:
        """Another coordinator said more than it could write, and its client has got that."""
        state, turn = self.proto, resume.turn
        state.response_sequence = max(state.response_sequence, resume.last_sequence)
        # It may have been asked to lower the volume; to be asked to restore it once more does no harm.
        state.is_ducked = True
        if not resume.HasField("turn"):
            return
        if resume.HasField("last_reply_sequence"):
            state.next_reply_sequence = max(state.next_reply_sequence, resume.last_reply_sequence + 1)
        if turn.turn_index >= state.next_turn_index:
            self._turn_was_lost(turn)
        reply = self.reply_of(turn.turn_index)
        if reply is not None:
            self._caught_up(reply, turn)

    def _turn_was_lost(self, turn: conversation_pb2.TurnInProgress) -> None:
        """The log knows nothing of a turn that its client knows of."""
        state, before = self.proto, self.proto.reply
        if state.HasField("reply") and not (before.is_finished or before.is_done):
            # How it ended was told, and is not known here.
            self._finished(before, ReplyFinished.REASON_INTERRUPTED)
        state.ClearField("reply")
        self._next_turn_is_after(turn.turn_index)
        if turn.said:
            self._turn_ended(turn.turn_index, cleaned(turn.said))
        state.input_sequence = max(state.input_sequence, turn.input_sequence)
        if turn.next_audio_sequence > state.microphone.next_sequence:
            offset_s = turn.next_audio_offset.ToNanoseconds() / 1e9
            state.microphone.CopyFrom(session_pb2.Microphone(next_sequence=turn.next_audio_sequence, offset_s=offset_s))

    def _caught_up(self, reply: session_pb2.Reply, turn: conversation_pb2.TurnInProgress) -> None:
        """Bring the latest reply to where its client is."""
        reply.text = cleaned(turn.reply_text)
        reply.received_s = max(reply.received_s, turn.reply_audio_offset.ToNanoseconds() / 1e9)
        if turn.is_spoken and not reply.is_spoken:
            reply.is_spoken = True
            if not reply.HasField("text_characters"):
                # A voice comes to its end once all is written.
                _take_notes(reply, Record(text_characters=len(reply.text)))
        interrupted = Response(interrupted=turn.interrupted)
        is_news = turn.HasField("interrupted") and not reply.HasField("heard_text")
        was_playing = turn.HasField("reply_finished") and turn.reply_finished.reason not in CUT
        told = [
            (is_news and not was_playing, interrupted),
            (turn.HasField("reply_finished"), Response(reply_finished=turn.reply_finished)),
            (turn.is_failed, Response(turn_failed=conversation_pb2.TurnFailed())),
            (turn.is_finished, Response(turn_report=conversation_pb2.TurnReport())),
            (is_news and was_playing, interrupted),
        ]
        for is_told, response in told:
            if is_told and self.reply_of(turn.turn_index) is not None:
                self._replied(reply, response.WhichOneof("converse_response") or "", response)


def _take_turn(reply: session_pb2.Reply, record: Record) -> None:
    """What came with the end of a turn."""
    reply.images.extend(record.images)
    if record.HasField("trace_context"):
        reply.trace_context.CopyFrom(record.trace_context)
    _take_seen(reply, record)


def _take_notes(reply: session_pb2.Reply, record: Record) -> None:
    """What is noted of the reply in progress; results before calls, for they are of an earlier record's."""
    _take_seen(reply, record)
    if record.HasField("piece"):
        reply.pieces.append(record.piece)
    reply.words.extend(record.words)
    if record.HasField("text_characters"):
        reply.text_characters = record.text_characters
        reply.end.reason = reply.end.reason or ReplyFinished.REASON_COMPLETED
    if record.HasField("end"):
        reply.end.CopyFrom(record.end)
    for answer in record.tool_answers:
        for each in reply.rounds:
            if answer.tool_call_id in {call.call_id for call in each.calls}:
                each.answers.append(answer)
    if record.tool_calls:
        reply.rounds.add(text_characters=record.text_before_calls, calls=record.tool_calls)


def _take_seen(reply: session_pb2.Reply, record: Record) -> None:
    if record.HasField("seen"):
        reply.seen = record.seen
        del reply.images[:]


# What one who goes on with a reply reads of it.


def written_characters(reply: session_pb2.Reply) -> int | None:
    """Characters that the language model wrote, once all of them were sent; what follows is the operator's line."""
    is_written = reply.HasField("text_characters") and len(reply.text) >= reply.text_characters
    return reply.text_characters if is_written else None


def is_over(reply: session_pb2.Reply) -> bool:
    """The client knows that it comes to an end: nothing more is said of it."""
    return reply.is_done or reply.is_finished or reply.HasField("heard_text")


def pending_calls(reply: session_pb2.Reply) -> list[llm_pb2.ToolCall]:
    """Tools whose answers are awaited."""
    if not reply.rounds:
        return []
    answered = {answer.tool_call_id for answer in reply.rounds[-1].answers}
    return [call for call in reply.rounds[-1].calls if call.call_id not in answered]


def last_clause(reply: session_pb2.Reply) -> session_pb2.SpokenPiece | None:
    """The first piece of the clause that was being spoken."""
    return next((piece for piece in reply.pieces if piece.text_start == reply.pieces[-1].text_start), None)


def timed_words(reply: session_pb2.Reply) -> list[session_pb2.SpokenWord]:
    """The words that were timed; those of the clause in progress are timed again, unless all is spoken."""
    clause, words = last_clause(reply), list[session_pb2.SpokenWord]()
    for word in reply.words:
        if reply.is_spoken or clause is None or word.start_s < clause.offset_s:
            # A clause that was spoken twice was timed twice, too.
            while words and words[-1].start_s >= word.start_s:
                words.pop()
            words.append(word)
    return words
