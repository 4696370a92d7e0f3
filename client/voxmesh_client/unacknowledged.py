"""What the coordinator, or another replica of it, may need again, with its sequence numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from voxmesh.conversation.v1.conversation_pb2 import AudioChunk, ConverseRequest

MAX_KEPT_CHUNKS = 7000
"""Audio kept at most: 70 s of 10 ms chunks, more than a coordinator ever needs again."""
MAX_KEPT_AUDIO_BYTES = 16 * 1024 * 1024
"""The same in bytes: more than a minute of any format."""
MAX_KEPT_INPUT_BYTES = 32 * 1024 * 1024
"""Texts and pictures kept at most."""


class Unacknowledged:
    """A queue of sent chunks of audio, oldest first, in sequence without gaps.

    Beyond its bounds the oldest are given up: should another replica need them, it goes on without them.
    """

    def __init__(self) -> None:
        self._chunks: deque[AudioChunk] = deque()
        self._bytes = 0
        self._next = 0

    def add(self, data: bytes) -> AudioChunk:
        """Number the next chunk and keep it."""
        chunk = AudioChunk(sequence=self._next, data=data)
        self._chunks.append(chunk)
        self._bytes += len(data)
        self._next += 1
        while len(self._chunks) > MAX_KEPT_CHUNKS or self._bytes > MAX_KEPT_AUDIO_BYTES:
            self._drop_oldest()
        return chunk

    def acknowledge(self, sequence: int) -> None:
        """Forget the chunks up to this one."""
        while self._chunks and self._chunks[0].sequence <= sequence:
            self._drop_oldest()

    def since(self, sequence: int) -> list[AudioChunk]:
        """The chunks from this one on, as far as they are kept."""
        return [chunk for chunk in self._chunks if chunk.sequence >= sequence]

    def renumber(self) -> None:
        """Count from 0 again, beginning with the oldest chunk kept: a new session has begun."""
        for sequence, chunk in enumerate(self._chunks):
            chunk.sequence = sequence
        self._next = len(self._chunks)

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._chunks.popleft().data)

    def __iter__(self) -> Iterator[AudioChunk]:
        return iter(tuple(self._chunks))

    def __len__(self) -> int:
        return len(self._chunks)


class UnacknowledgedInputs:
    """The texts and pictures that were sent and are part of no turn yet, oldest first, numbered from 1."""

    def __init__(self) -> None:
        self._requests: deque[ConverseRequest] = deque()
        self._next = 1

    def add(self, request: ConverseRequest) -> ConverseRequest:
        """Number the next one and keep it."""
        request.input_sequence = self._next
        self._requests.append(request)
        self._next += 1
        while len(self._requests) > 1 and sum(map(ConverseRequest.ByteSize, self._requests)) > MAX_KEPT_INPUT_BYTES:
            self._requests.popleft()
        return request

    def acknowledge(self, sequence: int) -> None:
        """Forget those up to this one."""
        while self._requests and self._requests[0].input_sequence <= sequence:
            self._requests.popleft()

    def since(self, sequence: int) -> list[ConverseRequest]:
        """Those after this one, as far as they are kept."""
        return [request for request in self._requests if request.input_sequence > sequence]

    def renumber(self) -> None:
        """Count from 1 again, beginning with the oldest that is kept: a new session has begun."""
        for sequence, request in enumerate(self._requests, 1):
            request.input_sequence = sequence
        self._next = len(self._requests) + 1
