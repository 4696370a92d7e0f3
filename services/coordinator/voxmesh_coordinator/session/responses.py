"""What a session says to its client, over one stream after another, with nothing lost and nothing said twice.

send ──► log: numbered, in the state, committed behind
  └────► kept ──► one task a stream ──► client: at once, but for what must be in the store first
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.durability.log import MAX_BEHIND_BYTES, Record, SessionLog
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.errors import Unavailable, VoxmeshError
from voxmesh_runtime.streams import StreamCall

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
Call = StreamCall[Request, Response]

MAX_KEPT_BYTES = 8 * 1024 * 1024
"""Responses kept for a client that may come back: two minutes and a half of speech at 24 kHz."""
MAX_UNSENT_BYTES = 16 * 1024
"""Responses that may wait for a client that reads, a third of a second of speech; who makes much waits beyond it."""
TAKEN = "the session was resumed on another stream"
OF_THE_STREAM = {"session_started", "audio_acknowledged", "input_acknowledged", "going_away"}


class ResumableResponseStream:
    """Numbers responses, keeps the latest, and sends them while a stream is there.

    While none is there what is said waits; a client that comes back says what it has, and gets the rest.

    Args:
        log: of the session; what another replica has said is there.
        on_sent: is told of each response that was sent, of one that is sent again too.
    """

    def __init__(self, log: SessionLog, on_sent: Callable[[Response], None]) -> None:
        self._log = log
        self._on_sent = on_sent
        self._call: Call | None = None
        self._writing: asyncio.Task[None] | None = None
        self._of_stream: deque[Response] = deque()
        self._kept: deque[Response] = deque()
        self._kept_bytes = self._unsent_bytes = 0
        self._sent_sequence = self._last_sequence
        self._lost: asyncio.Future[VoxmeshError] = asyncio.get_running_loop().create_future()
        self._attaching = asyncio.Lock()
        self._change = asyncio.Event()
        for response in log.responses:
            self._keep(response)
        log.on_commit = self._changed

    @property
    def is_attached(self) -> bool:
        """A client listens."""
        return self._call is not None

    def send(self, response: Response) -> None:
        """Send a response, now or when the client is back; one of the stream, such as a receipt, only now."""
        if response.WhichOneof("converse_response") in OF_THE_STREAM:
            if self._call is not None:
                self._of_stream.append(response)
        else:
            response.sequence = self._last_sequence + 1
            record = Record(response=response)
            self._log.append(record)
            self._keep(record.response)
            self._unsent_bytes += record.response.ByteSize()
            self._forget_oldest()
        self._changed()

    async def writable(self) -> None:
        """Wait while too much waits for the client, or for the store; for those who make much."""
        while not self._is_writable():
            await self._change.wait()

    async def flushed(self) -> None:
        """Wait until the client has got everything, or its stream is of no use any more."""
        while self._call is not None and (self._of_stream or self._sent_sequence < self._last_sequence):
            await self._change.wait()

    async def attach(self, call: Call, first: Response, last_sequence: int | None) -> None:
        """The client is there: it gets `first`, then all after `last_sequence`; None for what was not sent yet.

        Raises:
            LookupError: some of that is not kept any more.
        """
        async with self._attaching:
            if last_sequence is not None:
                oldest = self._kept[0].sequence if self._kept else self._last_sequence + 1
                if not oldest - 1 <= last_sequence <= self._last_sequence:
                    raise LookupError(last_sequence)
            await call.send(first)
            self._on_sent(first)
            self.leave(Unavailable(TAKEN))
            if last_sequence is not None:
                self._sent_sequence = last_sequence
                self._unsent_bytes = sum(each.ByteSize() for each in self._kept if each.sequence > last_sequence)
            self._call, self._lost = call, asyncio.get_running_loop().create_future()
            self._writing = asyncio.create_task(self._write_all(call))
            self._changed()

    def lose(self, call: Call, error: VoxmeshError) -> None:
        """The stream is of no use any more: what is said from now on waits for another one."""
        if self._call is call:
            self._call = None
            self._of_stream.clear()
            self._lost.set_result(error)
            if self._writing is not None and self._writing is not asyncio.current_task():
                self._writing.cancel()
            self._changed()

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

    @property
    def _last_sequence(self) -> int:
        return self._log.state.proto.response_sequence

    def _changed(self) -> None:
        """Wake those for whom something changed."""
        self._change.set()
        self._change.clear()

    def _is_writable(self) -> bool:
        if self._call is not None:
            has_room = self._unsent_bytes <= MAX_UNSENT_BYTES
        else:
            has_room = self._kept_bytes <= MAX_KEPT_BYTES
        return has_room and self._log.behind_bytes <= MAX_BEHIND_BYTES // 2

    async def _write_all(self, call: Call) -> None:
        """Send what there is, in order, as long as the stream is the one that is there."""
        while self._call is call:
            if self._of_stream:
                if await self._write(call, self._of_stream[0]):
                    self._of_stream.popleft()
            elif self._sent_sequence < self._last_sequence and self._may_send(call, response := self._next()):
                if await self._write(call, response):
                    self._sent_sequence = response.sequence
                    self._unsent_bytes -= response.ByteSize()
            else:
                await self._change.wait()

    def _may_send(self, call: Call, response: Response) -> bool:
        """A tool may do things in the world that no other replica is to ask for again; who leaves hands over all."""
        is_early = not (response.HasField("tool_call") or call.is_moving)
        return is_early or self._log.is_committed(response.sequence)

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
        self._changed()
        return self._call is call

    def _keep(self, response: Response) -> None:
        if self._kept and response.sequence != self._kept[-1].sequence + 1:
            # What another replica could not write in between its client has got.
            self._kept.clear()
            self._kept_bytes = 0
        self._kept.append(response)
        self._kept_bytes += response.ByteSize()

    def _forget_oldest(self) -> None:
        """Keep no more than what a client that comes back may need; never what was not sent."""
        while self._kept_bytes > MAX_KEPT_BYTES and self._kept[0].sequence <= self._sent_sequence:
            self._kept_bytes -= self._kept.popleft().ByteSize()
