"""A conversation over streams that break and move, against a real server with a scripted coordinator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2 as pb
from voxmesh.conversation.v1 import conversation_pb2_grpc
from voxmesh_client import Conversation, Event, Mesh, MeshError, MeshSettings, SessionReplaced, SpeechStarted
from voxmesh_runtime.clock import duration
from voxmesh_runtime.errors import InvalidArgument, Unavailable, Unimplemented
from voxmesh_runtime.server import running
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, Streams

pytestmark = pytest.mark.unit

Request = pb.ConverseRequest
Response = pb.ConverseResponse
GOING_AWAY = Response(going_away=common_pb2.GoingAway())
REPORT = Response(turn_report=pb.TurnReport(turn_index=0))
CONFIG = pb.ConversationConfig(system_prompt="be brief")


class Line:
    """The coordinator's end of one stream; keeps what it read."""

    def __init__(self, requests: AsyncIterator[Request], context: AnyContext) -> None:
        self._requests = requests
        self._context = context
        self.got: list[Request] = []

    async def read(self, count: int = 1) -> None:
        for _ in range(count):
            self.got.append(await anext(self._requests))

    async def read_all(self) -> None:
        async for request in self._requests:
            self.got.append(request)

    async def write(self, *responses: Response) -> None:
        for response in responses:
            await self._context.write(response)

    async def accept(self, session_id: str, token: str = "", *, audio_from: int = 0, inputs: int = 0) -> None:
        """Read the first message and start a session, where this much is there."""
        await self.read()
        started = pb.SessionStarted(
            session_id=session_id, resume_token=token, next_audio_sequence=audio_from, input_sequence=inputs
        )
        await self.write(Response(session_started=started))

    @property
    def audio(self) -> list[tuple[int, bytes]]:
        return [(each.audio.sequence, each.audio.data) for each in self.got if each.HasField("audio")]


Script = Callable[[Line], Awaitable[None]]


class ScriptedCoordinator(conversation_pb2_grpc.ConversationServiceServicer):
    """Follows one script for each stream, in order."""

    names = (pb.DESCRIPTOR.services_by_name["ConversationService"].full_name,)

    def __init__(self, scripts: tuple[Script, ...], settings: ServerSettings) -> None:
        self.streams = Streams(settings)
        self.lines: list[Line] = []
        self._scripts = deque(scripts)

    def register(self, server: grpc.aio.Server) -> None:
        conversation_pb2_grpc.add_ConversationServiceServicer_to_server(self, server)

    async def start(self) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Nothing to free."""

    async def Converse(  # pyright: ignore[reportIncompatibleMethodOverride] # noqa: N802 # the contract's name
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        line = Line(aiter(request_iterator), context)
        self.lines.append(line)
        await self._scripts.popleft()(line)

    async def ListTurnReports(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: pb.ListTurnReportsRequest, context: AnyContext
    ) -> pb.ListTurnReportsResponse:
        """It keeps none."""
        del request, context
        return pb.ListTurnReportsResponse()

    async def GetStatus(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: pb.GetStatusRequest, context: AnyContext
    ) -> pb.GetStatusResponse:
        """There is nothing behind it."""
        del request, context
        return pb.GetStatusResponse()


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncGenerator[tuple[Conversation, ScriptedCoordinator]]:
    """A conversation with a coordinator that follows `scripts`."""
    settings = ServerSettings()
    coordinator = ScriptedCoordinator(scripts, settings)
    async with running(coordinator, settings) as server:
        targets = MeshSettings(coordinator_target=f"127.0.0.1:{server.port}", connect_timeout_s=5)
        async with Mesh(targets) as mesh, mesh.conversation(CONFIG) as conversation:
            yield conversation, coordinator


async def rest(conversation: Conversation) -> list[Event]:
    async with asyncio.timeout(20):
        return [event async for event in conversation]


async def test_events_arrive_typed_and_in_order() -> None:
    async def script(line: Line) -> None:
        await line.accept("s1")
        await line.write(
            Response(speech_started=duration(1.25)),
            Response(turn_ended=pb.TurnEnded(turn_index=0, text="hi")),
            Response(audio_acknowledged=3),
            Response(reply_text=pb.ReplyText(delta="hello")),
            REPORT,
        )

    async with scripted(script) as (conversation, _):
        assert conversation.session.session_id == "s1"
        events = await rest(conversation)
    assert events == [
        SpeechStarted(1.25),
        pb.TurnEnded(turn_index=0, text="hi"),
        pb.ReplyText(delta="hello"),
        pb.TurnReport(turn_index=0),
    ]


async def test_everything_a_client_says_reaches_the_coordinator_in_order() -> None:
    async def script(line: Line) -> None:
        await line.accept("s1")
        await line.read_all()

    async with scripted(script) as (conversation, coordinator):
        await conversation.send_audio(b"ab")
        await conversation.send_audio(b"cd")
        await conversation.send_text("typed")
        await conversation.send_image(b"png")
        await conversation.played(0, 1.5)
        await conversation.interrupt()
        await conversation.send_tool_result(pb.ToolResult(call_id="c1", content="42"))
        await conversation.finish()
        assert await rest(conversation) == []
    assert coordinator.lines[0].got == [
        Request(config=CONFIG),
        Request(audio=pb.AudioChunk(sequence=0, data=b"ab")),
        Request(audio=pb.AudioChunk(sequence=1, data=b"cd")),
        Request(text="typed", input_sequence=1),
        Request(image=pb.Image(data=b"png"), input_sequence=2),
        Request(playback_position=pb.PlaybackPosition(turn_index=0, offset=duration(1.5))),
        Request(interrupt=pb.Interrupt()),
        Request(tool_result=pb.ToolResult(call_id="c1", content="42")),
    ]


async def test_a_broken_stream_is_resumed_with_the_audio_that_was_not_acknowledged() -> None:
    async def breaks(line: Line) -> None:
        await line.accept("s1", "token-1")
        await line.read(4)
        await line.write(Response(audio_acknowledged=1), Response(reply_audio=pb.ReplyAudio(), sequence=7))
        raise Unavailable("the coordinator moved")

    async def resumes(line: Line) -> None:
        await line.accept("s1", "token-2")
        await line.read(2)

    async with scripted(breaks, resumes) as (conversation, coordinator):
        for data in (b"a0", b"a1", b"a2", b"a3"):
            await conversation.send_audio(data)
        events = await rest(conversation)
    assert events[-1] == SessionReplaced("the coordinator moved", resumed=True)
    second = coordinator.lines[1]
    resume = second.got[0].resume
    assert (resume.session_id, resume.resume_token, resume.last_sequence) == ("s1", "token-1", 7)
    assert second.audio == [(2, b"a2"), (3, b"a3")]
    assert conversation.session.resume_token.endswith("-2")


async def test_what_is_there_is_kept_for_another_replica_but_not_sent_again() -> None:
    async def breaks(line: Line) -> None:
        await line.accept("s1", "t")
        await line.read(6)
        await line.write(Response(audio_acknowledged=0))
        raise Unavailable("lost")

    async def has_most(line: Line) -> None:
        await line.accept("s1", "t", audio_from=2, inputs=1)
        await line.read(2)
        raise Unavailable("lost again")

    async def has_little(line: Line) -> None:
        await line.accept("s1", audio_from=1)
        await line.read(4)

    async with scripted(breaks, has_most, has_little) as (conversation, coordinator):
        for data in (b"a0", b"a1", b"a2"):
            await conversation.send_audio(data)
        await conversation.send_text("typed")
        await conversation.send_image(b"png")
        await conversation.played(0, 1.5)
        await rest(conversation)
    typed, shown = Request(text="typed", input_sequence=1), Request(image=pb.Image(data=b"png"), input_sequence=2)
    played = Request(playback_position=pb.PlaybackPosition(turn_index=0, offset=duration(1.5)))
    assert coordinator.lines[1].audio == [(2, b"a2")]
    assert coordinator.lines[1].got[2:] == [shown]
    assert coordinator.lines[2].audio == [(1, b"a1"), (2, b"a2")]
    assert coordinator.lines[2].got[3:] == [typed, shown]
    assert conversation._played == played.playback_position


async def test_a_client_that_comes_back_tells_its_newest_turn_and_hears_what_never_was() -> None:
    ended = Response(turn_ended=pb.TurnEnded(turn_index=0, text="hi", input_sequence=1), sequence=1)

    async def breaks(line: Line) -> None:
        await line.accept("s1", "t")
        await line.write(ended, Response(reply_text=pb.ReplyText(delta="hel"), sequence=2))
        raise Unavailable("lost")

    async def knows_nothing_of_it(line: Line) -> None:
        await line.read()
        await line.write(Response(session_started=pb.SessionStarted(session_id="s1", void_after_sequence=0)))
        raise Unavailable("lost again")

    async def goes_on(line: Line) -> None:
        await line.accept("s1", "t")

    async with scripted(breaks, knows_nothing_of_it, goes_on) as (conversation, coordinator):
        events = await rest(conversation)
    first, second = (coordinator.lines[number].got[0].resume for number in (1, 2))
    assert first.turn == pb.TurnInProgress(
        turn_index=0, said="hi", reply_text="hel", input_sequence=1, next_audio_offset=duration(0)
    )
    assert (first.last_sequence, second.last_sequence, second.HasField("turn")) == (2, 2, False)
    assert [event.void_turn for event in events if isinstance(event, SessionReplaced)] == [0, None]


async def test_an_input_that_is_part_of_a_turn_is_not_sent_again() -> None:
    async def breaks(line: Line) -> None:
        await line.accept("s1", "t")
        await line.read(2)
        await line.write(Response(input_acknowledged=1))
        raise Unavailable("lost")

    async def has_nothing(line: Line) -> None:
        await line.read()
        raise Unimplemented("resume", "sessions cannot be resumed here")

    async def begins(line: Line) -> None:
        await line.accept("s2")
        await line.read()

    async with scripted(breaks, has_nothing, begins) as (conversation, coordinator):
        await conversation.send_text("first")
        await conversation.send_text("second")
        await rest(conversation)
    assert coordinator.lines[2].got[1:] == [Request(text="second", input_sequence=1)]


async def test_a_tool_that_is_asked_for_again_does_not_run_again() -> None:
    call = Response(tool_call=pb.ToolCall(call_id="c1", name="weather"), sequence=1)
    other = Response(tool_call=pb.ToolCall(call_id="c2", name="weather"), sequence=2)
    result = pb.ToolResult(call_id="c1", content="sunny")

    async def breaks(line: Line) -> None:
        await line.accept("s1", "t")
        await line.write(call, other)
        await line.read()
        raise Unavailable("lost")

    async def asks_again(line: Line) -> None:
        await line.accept("s1")
        await line.read()
        await line.write(call, other)
        await line.read()

    async with scripted(breaks, asks_again) as (conversation, coordinator):
        events: list[Event] = []
        async for event in conversation:
            events.append(event)
            if isinstance(event, pb.ToolCall) and event.call_id == "c1":
                await conversation.send_tool_result(result)
    assert [event.call_id for event in events if isinstance(event, pb.ToolCall)] == ["c1", "c2"]
    assert coordinator.lines[1].got[1:] == [Request(tool_result=result)] * 2


async def test_where_resuming_is_not_possible_a_new_session_gets_the_audio_from_sequence_0() -> None:
    async def breaks(line: Line) -> None:
        await line.accept("s1")
        await line.read(3)
        await line.write(Response(audio_acknowledged=0))
        raise Unavailable("lost")

    async def refuses(line: Line) -> None:
        await line.read()
        raise Unimplemented("resume", "sessions cannot be resumed here")

    async def begins(line: Line) -> None:
        await line.accept("s2")
        await line.read(3)

    async with scripted(breaks, refuses, begins) as (conversation, coordinator):
        for data in (b"a0", b"a1", b"a2"):
            await conversation.send_audio(data)
        events = aiter(conversation)
        assert await anext(events) == SessionReplaced("lost", resumed=False)
        await conversation.send_audio(b"a3")
        assert [event async for event in events] == []
    third = coordinator.lines[2]
    assert third.got[0] == Request(config=CONFIG)
    assert third.audio == [(0, b"a1"), (1, b"a2"), (2, b"a3")]


async def test_going_away_moves_the_conversation_at_once_between_turns() -> None:
    async def goes(line: Line) -> None:
        await line.accept("s1", "t")
        await line.write(GOING_AWAY)
        await line.read_all()

    async def resumes(line: Line) -> None:
        await line.accept("s1")

    async with scripted(goes, resumes) as (conversation, _):
        assert await rest(conversation) == [SessionReplaced("the coordinator asked to move", resumed=True)]


async def test_going_away_waits_for_the_end_of_the_turn() -> None:
    async def goes(line: Line) -> None:
        await line.accept("s1", "t")
        await line.write(Response(speech_started=duration(0)), GOING_AWAY)
        await line.write(Response(turn_ended=pb.TurnEnded(text="hi")), REPORT)
        await line.read_all()

    async def resumes(line: Line) -> None:
        await line.accept("s1")

    async with scripted(goes, resumes) as (conversation, coordinator):
        events = await rest(conversation)
    assert [type(event) for event in events] == [SpeechStarted, pb.TurnEnded, pb.TurnReport, SessionReplaced]
    assert len(coordinator.lines) == 2


async def test_a_message_that_meets_a_break_is_sent_on_the_next_stream() -> None:
    async def breaks(line: Line) -> None:
        await line.accept("s1", "t")
        raise Unavailable("lost")

    async def resumes(line: Line) -> None:
        await line.accept("s1")
        await line.read()

    async with scripted(breaks, resumes) as (conversation, coordinator):
        await asyncio.sleep(0.2)  # the stream is over by now, and nobody has read that yet
        sending = asyncio.create_task(conversation.send_text("still there?"))
        await rest(conversation)
        await sending
    assert coordinator.lines[1].got[-1] == Request(text="still there?", input_sequence=1)


async def test_a_refusal_ends_the_conversation_for_reader_and_senders() -> None:
    async def refuses(line: Line) -> None:
        await line.accept("s1")
        await line.read()
        raise InvalidArgument("audio.data", "must be whole samples")

    async with scripted(refuses) as (conversation, _):
        await conversation.send_audio(b"x")
        with pytest.raises(MeshError, match="whole samples") as caught:
            await rest(conversation)
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.violations[0].field == "audio.data"
        with pytest.raises(MeshError, match="whole samples"):
            await conversation.send_audio(b"y")


async def test_after_the_coordinator_ended_nothing_can_be_sent() -> None:
    async def ends(line: Line) -> None:
        await line.accept("s1")

    async with scripted(ends) as (conversation, _):
        assert await rest(conversation) == []
        with pytest.raises(MeshError, match="ended the conversation"):
            await conversation.send_text("hello?")


async def test_a_slow_coordinator_holds_the_sender_back() -> None:
    reading = asyncio.Event()

    async def slow(line: Line) -> None:
        await line.accept("s1")
        await reading.wait()
        await line.read_all()

    async with scripted(slow) as (conversation, coordinator):

        async def flood() -> int:
            for count in range(2000):
                try:
                    async with asyncio.timeout(0.5):
                        await conversation.send_text("x" * 30_000)
                except TimeoutError:
                    return count
            return 2000

        assert await flood() < 2000
        reading.set()
    assert len(coordinator.lines) == 1
