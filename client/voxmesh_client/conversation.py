"""A spoken conversation that outlives the stream it runs on.

sender tasks ── send_* ──► Conversation ──► stream ──► coordinator
one reader  ◄── events ───────┘   ▲ reconnects: resume, else a new session
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeAlias

import grpc

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client.endpoint import Endpoint
from voxmesh_client.errors import MeshError
from voxmesh_client.events import Event, SessionReplaced, event_of
from voxmesh_client.limits import audio_pieces, check
from voxmesh_client.newest_turn import NewestTurn
from voxmesh_client.stream import Stream
from voxmesh_client.tool_results import ToolResults
from voxmesh_client.unacknowledged import Unacknowledged, UnacknowledgedInputs
from voxmesh_runtime.clock import duration

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
ConverseStream: TypeAlias = "Stream[Request, Response]"

GOODBYE_S = 1.0
"""Longest wait for the coordinator to take leave, in seconds."""
MAX_TEXT_CHARACTERS = 32_000
"""Longest typed turn."""
MAX_IMAGE_BYTES = 8 * 1024 * 1024
"""Longest file of a picture."""
MAX_RESULT_CHARACTERS = 200_000
"""Longest result of a tool: the longest message that a language model service takes."""
RECONNECT_S = 30.0
"""How long a broken conversation tries to come back, in seconds."""

_RESUME_REFUSED = frozenset(
    {
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)


class Conversation:
    """Send from any task; read events from one, without pause: reading also keeps the connection.

    After a break, or when the coordinator asks to move between turns, the session is resumed, there or at another
    replica; what was not acknowledged and is not there is sent again, and `SessionReplaced` says so.
    """

    def __init__(self, endpoint: Endpoint, config: conversation_pb2.ConversationConfig) -> None:
        self._endpoint = endpoint
        self._channel = endpoint.channel
        self._config = config
        self._stream: ConverseStream | None = None
        self._connected = asyncio.Event()
        self._writing = asyncio.Lock()
        self._failure: MeshError | None = None
        self._unacknowledged = Unacknowledged()
        self._inputs = UnacknowledgedInputs()
        self._tool_results = ToolResults()
        self._newest_turn = NewestTurn(config)
        self._played: conversation_pb2.PlaybackPosition | None = None
        self._last_sequence = 0
        self._in_turn = False
        self.session = conversation_pb2.SessionStarted()
        """The newest acknowledgement of the coordinator."""

    async def __aenter__(self) -> Self:
        await self._open(Request(config=self._config))
        self._connected.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(self._closed("the conversation was closed"))
        if self._stream is not None:
            await self._say_goodbye(self._stream)
            self._stream.cancel()

    @staticmethod
    async def _say_goodbye(stream: ConverseStream) -> None:
        """Without it the coordinator would wait for this client to come back."""
        with suppress(MeshError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await stream.send(Request(goodbye=conversation_pb2.Goodbye()))
                await stream.half_close()
                await stream.drained()

    async def send_audio(self, data: bytes) -> None:
        """Send microphone audio, best 10 to 200 ms of it; waits while the link is slow.

        Args:
            data: whole samples in the config's format.

        Raises:
            MeshError: the conversation is over.
        """
        await self._connection()
        async with self._writing:
            for piece in audio_pieces(data):
                # A chunk that a broken stream swallows is sent again when the conversation is back.
                await self._deliver(Request(audio=self._unacknowledged.add(piece)))

    async def send_text(self, text: str) -> None:
        """Send a typed user turn, at most 32,000 characters.

        Raises:
            MeshError: it is longer, and the conversation goes on without it; or the conversation is over.
        """
        self._check("text", len(text), MAX_TEXT_CHARACTERS)
        self._in_turn = True
        await self._send_input(Request(text=text))

    async def send_image(self, data: bytes) -> None:
        """Send a PNG, JPEG or WebP file, at most 8 MiB, for the turn being spoken or typed; raises as `send_text`."""
        self._check("image.data", len(data), MAX_IMAGE_BYTES, least=1, unit="bytes")
        await self._send_input(Request(image=conversation_pb2.Image(data=data)))

    async def send_tool_result(self, result: conversation_pb2.ToolResult) -> None:
        """Answer a ToolCall event, with at most 200,000 characters; raises as `send_text`."""
        self._check("tool_result.content", len(result.content), MAX_RESULT_CHARACTERS)
        self._tool_results.add(result)
        await self._send(Request(tool_result=result))

    async def played(self, turn_index: int, offset_s: float) -> None:
        """Tell how much of a turn's reply the person has heard, in seconds from its start."""
        self._played = conversation_pb2.PlaybackPosition(turn_index=turn_index, offset=duration(offset_s))
        await self._send(Request(playback_position=self._played))

    async def interrupt(self) -> None:
        """Stop the reply in progress."""
        await self._send(Request(interrupt=conversation_pb2.Interrupt()))

    async def finish(self) -> None:
        """Say that nothing more will be sent; events go on until the coordinator ends."""
        await self._connection()
        if self._stream is not None:
            await self._stream.half_close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        try:
            while True:
                reason = "the coordinator asked to move"
                try:
                    async for kind, response in self._open_stream():
                        event = self._take(kind, response)
                        if kind == "tool_call" and event is None:
                            await self._answer_again(response.tool_call.call_id)
                        if event is not None:
                            yield event
                        if self._open_stream().going_away and not self._in_turn:
                            break
                    else:
                        self._end(self._closed("the coordinator ended the conversation"))
                        return
                except MeshError as error:
                    if error.code is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    reason = error.message
                yield await self._reconnect(reason)
        except MeshError as error:
            self._end(error)
            raise

    def _take(self, kind: str, response: Response) -> Event | None:
        """Keep what a resume needs and give the event of a message."""
        self._last_sequence = max(self._last_sequence, response.sequence)
        self._newest_turn.take(kind, response)
        match kind:
            case "audio_acknowledged":
                self._unacknowledged.acknowledge(response.audio_acknowledged)
            case "input_acknowledged":
                self._inputs.acknowledge(response.input_acknowledged)
            case "tool_call" if not self._tool_results.is_new(response.tool_call.call_id):
                # Another replica took the session over and does not know that the tool runs, or has run.
                return None
            case "speech_started":
                self._in_turn = True
            case "turn_ended":
                self._in_turn = True
                self._tool_results.begin(response.turn_ended.turn_index)
            case "turn_report" | "turn_failed":
                self._in_turn = False
                self._tool_results.over(getattr(response, kind).turn_index)
            case _:
                pass
        return event_of(kind, response)

    async def _reconnect(self, reason: str) -> SessionReplaced:
        self._connected.clear()
        if self._open_stream().going_away:
            self._endpoint.leave(self._channel)
        self._open_stream().cancel()
        async with self._writing:
            resumed = await self._resume()
            void_turn = None
            if self.session.HasField("void_after_sequence"):
                void_turn = self._newest_turn.void(self.session.void_after_sequence)
            for request in self._missing():
                await self._deliver(request)
        self._in_turn = self._in_turn and resumed
        self._connected.set()
        return SessionReplaced(reason, resumed, void_turn)

    def _missing(self) -> Iterator[Request]:
        """What was sent and is not there where the session goes on."""
        for chunk in self._unacknowledged.since(self.session.next_audio_sequence):
            yield Request(audio=chunk)
        yield from self._inputs.since(self.session.input_sequence)
        for result in self._tool_results.given():
            yield Request(tool_result=result)
        if self._played is not None:
            yield Request(playback_position=self._played)

    async def _answer_again(self, call_id: str) -> None:
        if (result := self._tool_results.get(call_id)) is not None:
            async with self._writing:
                await self._deliver(Request(tool_result=result))

    async def _resume(self) -> bool:
        """Continue the session, or begin a new one; true when it continues."""
        resume = conversation_pb2.Resume(
            session_id=self.session.session_id,
            resume_token=self.session.resume_token,
            last_sequence=self._last_sequence,
        )
        self._newest_turn.tell(resume)
        try:
            await self._open(Request(resume=resume), RECONNECT_S)
        except MeshError as error:
            if error.code not in _RESUME_REFUSED:
                raise
        else:
            return True
        await self._open(Request(config=self._config), RECONNECT_S)
        self._unacknowledged.renumber()
        self._inputs.renumber()
        self._tool_results.clear()
        self._newest_turn.clear()
        self._played = None
        self._last_sequence = 0
        return False

    async def _open(self, first: Request, patience_s: float | None = None) -> None:
        self._channel = self._endpoint.channel
        method = conversation_pb2_grpc.ConversationServiceStub(self._channel).Converse
        self._stream = await self._endpoint.open(method, first, patience_s=patience_s)
        if self._stream.first is not None:
            self.session = self._stream.first.session_started

    async def _send_input(self, request: Request) -> None:
        await self._connection()
        async with self._writing:
            # As with audio: what a broken stream swallows is sent again when the conversation is back.
            await self._deliver(self._inputs.add(request))

    async def _send(self, request: Request) -> None:
        while True:
            await self._connection()
            async with self._writing:
                if await self._deliver(request):
                    return

    async def _deliver(self, request: Request) -> bool:
        """Write to the stream; false when it broke, and the reader will open another one."""
        try:
            await self._open_stream().send(request)
        except MeshError:
            # Why it broke is read, and judged, where events are read.
            self._connected.clear()
            return False
        return True

    async def _connection(self) -> None:
        await self._connected.wait()
        if self._failure is not None:
            raise self._failure

    def _open_stream(self) -> ConverseStream:
        if self._stream is None:
            raise RuntimeError("use the conversation as `async with mesh.conversation(config) as conversation`")
        return self._stream

    def _check(self, field: str, count: int, most: int, *, least: int = 0, unit: str = "characters") -> None:
        check(self._endpoint.slot.name, field, count, most, least=least, unit=unit)

    def _closed(self, message: str) -> MeshError:
        return MeshError(grpc.StatusCode.CANCELLED, message, self._endpoint.slot.name, "open another one")

    def _end(self, failure: MeshError) -> None:
        """Wake everyone who waits to send; no message can be sent any more."""
        self._failure = failure
        self._connected.set()
