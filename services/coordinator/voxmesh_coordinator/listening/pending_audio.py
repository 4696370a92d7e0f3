"""What a recogniser was given and has not answered yet: said again to another one when it breaks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voxmesh.common.v1 import common_pb2

MAX_UNHEARD_S = 60.0
"""Longest speech, in seconds, that is said again."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of the microphone's audio, by its place in it, in seconds."""

    begin_s: float
    end_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class FinalizeMarker:
    """A final transcript was asked for here."""

    parent: common_pb2.TraceContext


class PendingAudio:
    """Audio and marks in order."""

    def __init__(self) -> None:
        self._entries = deque[Heard | FinalizeMarker]()

    def __iter__(self) -> Iterator[Heard | FinalizeMarker]:
        return iter(list(self._entries))

    def __bool__(self) -> bool:
        return bool(self._entries)

    def begin_s(self, otherwise_s: float) -> float:
        """Where its audio begins, or another place if it has none."""
        return next((entry.begin_s for entry in self._entries if isinstance(entry, Heard)), otherwise_s)

    def begin(self, pieces: Iterable[Heard] = ()) -> None:
        """A turn begins with these pieces, or ended."""
        self._entries.clear()
        self._entries.extend(pieces)

    def add(self, entry: Heard | FinalizeMarker) -> None:
        """The next of them; a recogniser that says nothing for too long has lost what came first."""
        self._entries.append(entry)
        if isinstance(entry, Heard):
            self._drop_until(entry.end_s - MAX_UNHEARD_S)

    def answered(self, up_to_s: float) -> None:
        """The recogniser has told what was said up to there."""
        while self._entries and isinstance(first := self._entries[0], Heard) and first.end_s <= up_to_s:
            self._entries.popleft()

    def finalize_answered(self) -> None:
        """The recogniser has answered the first mark."""
        while self._entries:
            if isinstance(self._entries.popleft(), FinalizeMarker):
                return

    def _drop_until(self, begin_s: float) -> None:
        while self._entries and isinstance(first := self._entries[0], Heard) and first.end_s < begin_s:
            self._entries.popleft()
