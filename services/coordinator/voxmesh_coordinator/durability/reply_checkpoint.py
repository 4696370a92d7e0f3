"""What another coordinator did of a reply, for the one that goes on with it."""

from __future__ import annotations

from collections.abc import Iterator

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker, SpokenPiece


class ReplyCheckpoint:
    """A reply as far as it was given; all of it empty for one that begins.

    Args:
        saved: as it was kept.
    """

    def __init__(self, saved: session_pb2.Reply | None = None) -> None:
        self._saved = saved if saved is not None else session_pb2.Reply()
        self.text = self._saved.text
        self.is_spoken = self._saved.is_spoken
        self.rounds = list(self._saved.rounds)
        """The times that the language model waited for tools; the last may still wait."""
        self.pieces = [
            SpokenPiece(each.offset_s, each.duration_s, each.text_start, each.text_end) for each in self._saved.pieces
        ]

        self.end = session_pb2.ReplyEnd()
        """How it ends, as far as that was known."""
        self.end.CopyFrom(self._saved.end)
        if not self.end.reason and self._saved.HasField("heard_text"):
            self.end.reason = conversation_pb2.ReplyFinished.REASON_INTERRUPTED
        elif not self.end.reason and self.is_written:
            self.end.reason = conversation_pb2.ReplyFinished.REASON_COMPLETED

    @property
    def is_written(self) -> bool:
        """The language model has written all of it."""
        return self.text_characters is not None

    @property
    def text_characters(self) -> int | None:
        """Characters that the language model wrote, once all of them were sent."""
        written = self._saved.text_characters if self._saved.HasField("text_characters") else None
        return written if written is not None and len(self.text) >= written else None

    @property
    def clause(self) -> SpokenPiece | None:
        """The first piece of the clause that was being spoken."""
        return next((piece for piece in self.pieces if piece.text_start == self.pieces[-1].text_start), None)

    def fill(self, playout: PlayoutTracker) -> None:
        """Tell the playout of a reply what the client has got."""
        playout.text = self.text
        for piece in self.pieces:
            playout.sent(piece)
        for word in self._words():
            playout.timed(word.text, word.start_s)
        if self._saved.pieces:
            playout.began_before((playout.clock.wall_ns() - self._saved.pieces[0].sent_time_ns) / 1e9)

    def pending(self) -> list[llm_pb2.ToolCall]:
        """Tools whose answers are awaited."""
        if not self.rounds:
            return []
        answered = {answer.tool_call_id for answer in self.rounds[-1].answers}
        return [call for call in self.rounds[-1].calls if call.call_id not in answered]

    def _words(self) -> list[session_pb2.SpokenWord]:
        """The words that were timed; those of the clause in progress are timed anew, unless all is spoken."""
        words: list[session_pb2.SpokenWord] = []
        for word in self._timed():
            # A clause that was spoken anew before was timed again, too.
            while words and words[-1].start_s >= word.start_s:
                words.pop()
            words.append(word)
        return words

    def _timed(self) -> Iterator[session_pb2.SpokenWord]:
        clause = self.clause
        for word in self._saved.words:
            if self.is_spoken or clause is None or word.start_s < clause.offset_s:
                yield word
