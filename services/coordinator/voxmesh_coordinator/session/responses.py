"""What a session says to its client, over one stream after another, with nothing lost and nothing said twice."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.errors import Unavailable, VoxmeshError
from voxmesh_runtime.streams import StreamCall

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
Call = StreamCall[Request, Response]

MAX_KEPT_BYTES = 8 * 1024 * 1024
"""Responses kept for a client that may come back: two minutes and a half of speech at 24 kHz."""
TAKEN = "the session was resumed on another stream"
OF_THE_STREAM = {"session_started", "audio_acknowledged", "input_acknowledged", "going_away"}


class ResumableResponseStream:
    """Numbers responses, keeps the latest, and sends them while a stream is there.

    While none is there what is said waits; a client that comes back says what it has, and gets the rest.

    Args:
        write_ahead: keeps a numbered response before it is sent; False when it must not be sent.
        on_sent: is told of each response that was sent, of one that is sent again too.
    """

    def __init__(self, write_ahead: Callable[[Response], Awaitable[bool]], on_sent: Callable[[Response], None]) -> None:
        self._write_ahead = write_ahead
        self._on_sent = on_sent
        self._call: Call | None = None
        self._kept: deque[Response] = deque()
        self._kept_bytes = 0
        self._last_sequence = 0
        self._sent_sequence = 0
        self._written_sequence = 0
        self._attached = asyncio.Event()
        self._lost: asyncio.Future[VoxmeshError] = asyncio.get_running_loop().create_future()
        self._order = asyncio.Lock()

    @property
    def is_attached(self) -> bool:
        """A client listens."""
        return self._call is not None

    async def send(self, response: Response) -> None:
        """Send a response, now or when the client is back; waits while too much waits for it."""
        if response.WhichOneof("converse_response") in OF_THE_STREAM:
            await self._send_of_stream(response)
            return
        self._last_sequence += 1
        response.sequence = self._last_sequence
        self._kept.append(response)
        self._kept_bytes += response.ByteSize()
        self._forget_oldest()
        if not await self._write_ahead(response):
            return
        # Written in order: those before it are too.
        self._written_sequence = max(self._written_sequence, response.sequence)
        while not self.is_attached and self._kept_bytes > MAX_KEPT_BYTES:
            await self._attached.wait()
        async with self._order:
            await self._flush()

    def restore(self, responses: Iterable[Response], last_sequence: int) -> None:
        """What another replica has said up to this sequence, as far as it is kept."""
        for response in responses:
            self._kept.append(response)
            self._kept_bytes += response.ByteSize()
        self._last_sequence = self._written_sequence = self._sent_sequence = last_sequence

    async def attach(self, call: Call, first: Response, last_sequence: int | None) -> None:
        """The client is there: it gets `first`, then all after `last_sequence`; None for what was not sent yet.

        Raises:
            LookupError: some of that is not kept any more.
        """
        async with self._order:
            if last_sequence is not None:
                oldest = self._kept[0].sequence if self._kept else self._last_sequence + 1
                if not oldest - 1 <= last_sequence <= self._last_sequence:
                    raise LookupError(last_sequence)
                self._sent_sequence = last_sequence
            await call.send(first)
            self._on_sent(first)
            self.leave(Unavailable(TAKEN))
            self._call, self._lost = call, asyncio.get_running_loop().create_future()
            self._attached.set()
            await self._flush()

    def lose(self, call: Call, error: VoxmeshError) -> None:
        """The stream is of no use any more: what is said from now on waits for another one."""
        if self._call is call:
            self._call = None
            self._attached.clear()
            self._lost.set_result(error)

    def leave(self, error: VoxmeshError) -> None:
        """The stream that is there is given up for another one."""
        if self._call is not None:
            self.lose(self._call, error)

    async def lost(self) -> VoxmeshError:
        """Wait until the stream that is there is of no use; why."""
        return await asyncio.shield(self._lost)

    def sequence_played(self, played: conversation_pb2.PlaybackPosition) -> int:
        """The sequence of the last response that a client must have got which has played so much; 0 for none."""
        found = [each for each in self._kept if each.reply_audio.turn_index == played.turn_index]
        until_s = seconds_of(played.offset)
        heard = (each for each in found if each.reply_audio.data and seconds_of(each.reply_audio.offset) < until_s)
        return max((each.sequence for each in heard), default=0)

    def sequence_of_reply(self, reply_sequence: int) -> int | None:
        """The sequence of the response that held this piece of reply audio; None if it is not kept."""
        found = (each for each in self._kept if each.HasField("reply_audio"))
        return next((each.sequence for each in found if each.reply_audio.sequence == reply_sequence), None)

    async def _send_of_stream(self, response: Response) -> None:
        call = self._call
        if call is not None:
            await self._write(call, response)

    async def _flush(self) -> None:
        """Send what is kept and was not sent on this stream."""
        while (call := self._call) is not None and self._sent_sequence < self._written_sequence:
            response = self._next()
            if not await self._write(call, response):
                return
            self._sent_sequence = response.sequence

    def _next(self) -> Response:
        # Mostly the newest: found from the right.
        return self._kept[self._sent_sequence - self._last_sequence]

    async def _write(self, call: Call, response: Response) -> bool:
        try:
            await call.send(response)
        except VoxmeshError as error:
            # Such as a client that reads nothing.
            self.lose(call, error)
            return False
        except Exception as error:  # noqa: BLE001 # grpc raises what it likes on a stream that is over
            self.lose(call, Unavailable(f"the stream broke: {type(error).__name__}"))
            return False
        self._on_sent(response)
        return True

    def _forget_oldest(self) -> None:
        """Keep no more than what a client that comes back may need; never what was not sent."""
        while self._kept_bytes > MAX_KEPT_BYTES and self._kept[0].sequence <= self._sent_sequence:
            self._kept_bytes -= self._kept.popleft().ByteSize()
