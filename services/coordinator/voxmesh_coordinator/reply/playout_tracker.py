"""Which words of a reply the person has heard, from how far its audio was played."""

from __future__ import annotations

from dataclasses import dataclass

from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.state import timed_words
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock

_AHEAD_S = 1.0
"""How far ahead of the client's word a reply's echo is looked for, in seconds."""
_AFTER_S = 2.0
"""After the end of a reply its last echo is heard and judged no later than this, in seconds."""
_LATELY_S = 1.0
"""A client that told its position so long ago, in seconds, may have stopped."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of the reply's text, by its end, and where it begins in the reply's audio."""

    start_s: float
    text_end: int


class PlayoutTracker:
    """The audio sent for one reply; the client's playback positions, or else time, say what was played."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.text = ""
        self.is_shown = False
        """It is read, not heard: no voice speaks it, or not all of it."""
        self._words: list[SpokenWord] = []
        self._pieces: list[session_pb2.SpokenPiece] = []
        self.began_at = 0.0
        """When the first audio was sent, by the clock; 0 before that."""
        self._played_s: float | None = None
        self._told_at = 0.0

    @property
    def sent_s(self) -> float:
        """Audio sent so far, in seconds."""
        return self._pieces[-1].offset_s + self._pieces[-1].duration_s if self._pieces else 0.0

    def take_up(self, saved: session_pb2.Reply) -> None:
        """What another coordinator has said of the reply."""
        self.text = saved.text
        for piece in saved.pieces:
            self.sent(piece)
        for word in timed_words(saved):
            self.timed(word.text, word.start_s)
        if saved.pieces:
            elapsed_s = (self.clock.wall_ns() - saved.pieces[0].sent_time_ns) / 1e9
            self.began_at = self.clock.now() - max(0.0, elapsed_s)

    def sent(self, piece: session_pb2.SpokenPiece) -> None:
        """A piece of audio was sent to the client."""
        if not self._pieces:
            self.began_at = self.clock.now()
        self._pieces.append(piece)

    def timed(self, word: str, start_s: float) -> None:
        """The speech service says where the next word lies."""
        begin = self.text.find(word, self._words[-1].text_end if self._words else 0)
        if word and begin >= 0:
            self._words.append(SpokenWord(start_s, begin + len(word)))

    def played(self, offset_s: float) -> None:
        """The client has played up to `offset_s`."""
        self._played_s = min(max(offset_s, self._played_s or 0.0), self.sent_s)
        self._told_at = self.clock.now()

    def position_s(self) -> float:
        """How far the reply has been played: as the client says, else as time has passed."""
        if self._played_s is not None:
            return self._played_s
        return min(self.clock.now() - self.began_at, self.sent_s)

    def sounding_s(self) -> float:
        """Where the client is in the reply just now: it has gone on since it told so, maybe beyond the end."""
        now = self.clock.now()
        going_s = now - self.began_at if self._played_s is None else self._played_s + now - self._told_at
        return min(going_s, self.sent_s + _AFTER_S)

    @property
    def is_followed(self) -> bool:
        """The client tells where it is in the reply, and told so a moment ago."""
        return self._played_s is not None and self.clock.now() - self._told_at < _LATELY_S

    def being_said(self) -> str:
        """What the person may have heard by now, and a little more: for finding its echo."""
        return self._text_until(self.position_s() + _AHEAD_S)

    def heard_text(self) -> str:
        """The words heard: by their own times where they are known, else by the share of their clause."""
        if self.is_shown:
            return self.text.strip()
        return self._text_until(self.position_s())

    def _text_until(self, position_s: float) -> str:
        timed = [word for word in self._words if word.start_s < position_s]
        if timed and position_s <= self._words[-1].start_s:
            return self.text[: timed[-1].text_end].strip()
        heard = [piece for piece in self._pieces if piece.offset_s < position_s]
        if not heard:
            return ""
        last = heard[-1]
        clause = [piece for piece in self._pieces if piece.text_start == last.text_start]
        begin_s = clause[0].offset_s
        length_s = clause[-1].offset_s + clause[-1].duration_s - begin_s
        share = min(1.0, (position_s - begin_s) / length_s) if length_s else 1.0
        end = last.text_start + round(share * (last.text_end - last.text_start))
        return _whole_words(self.text, end)


def _whole_words(text: str, end: int) -> str:
    """`text` up to `end`, without the word that `end` cuts."""
    if end >= len(text) or text[end].isspace():
        return text[:end].strip()
    return text[:end].rpartition(" ")[0].strip()
