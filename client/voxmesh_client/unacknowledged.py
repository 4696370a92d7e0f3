"""Microphone audio that the coordinator may need again, with its sequence numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from voxmesh.conversation.v1.conversation_pb2 import AudioChunk

MAX_KEPT_CHUNKS = 3000
"""Kept at most: a minute of 20 ms chunks; a coordinator that lost more than that begins anew."""


class Unacknowledged:
    """A queue of sent chunks, oldest first, in sequence without gaps."""

    def __init__(self) -> None:
        self._chunks: deque[AudioChunk] = deque(maxlen=MAX_KEPT_CHUNKS)
        self._next = 0

    def add(self, data: bytes) -> AudioChunk:
        """Number the next chunk and keep it."""
        chunk = AudioChunk(sequence=self._next, data=data)
        self._chunks.append(chunk)
        self._next += 1
        return chunk

    def acknowledge(self, sequence: int) -> None:
        """Forget the chunks up to this one."""
        while self._chunks and self._chunks[0].sequence <= sequence:
            self._chunks.popleft()

    def renumber(self) -> None:
        """Count from 0 again, beginning with the oldest chunk kept: a new session has begun."""
        for sequence, chunk in enumerate(self._chunks):
            chunk.sequence = sequence
        self._next = len(self._chunks)

    def __iter__(self) -> Iterator[AudioChunk]:
        return iter(tuple(self._chunks))

    def __len__(self) -> int:
        return len(self._chunks)
