"""Holds a recorded conversation again: the same audio and words at the same times, with the mesh of today."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.asking import CHUNK_S, end_tasks
from voxmesh_client.conversation import Conversation
from voxmesh_client.events import Event
from voxmesh_client.mesh import Mesh
from voxmesh_client.playback import Playback, SilentPlayer
from voxmesh_client.recording import Moment, Recording, Sent, named_services
from voxmesh_client.sound import Pacer, silence
from voxmesh_client.turns import TurnLog

ToolResult = conversation_pb2.ToolResult

PATIENCE_S = 30.0
"""Wait after the recording's end for the turns that it has, in seconds."""
QUIET_S = 3.0
"""Silence after which no more turns are expected, in seconds."""


@dataclass(slots=True)
class Replayed:
    """What came of a recording this time."""

    services: dict[str, common_pb2.Ready] = field(default_factory=dict[str, common_pb2.Ready])
    """Who served it, by slot."""
    moments: list[Moment] = field(default_factory=list[Moment])
    log: TurnLog = field(default_factory=TurnLog)


async def replay(mesh: Mesh, recording: Recording, on_event: Callable[[Event], None] = lambda _event: None) -> Replayed:
    """Hold the conversation again, in the time that it took.

    Raises:
        MeshError: the coordinator refuses or fails.
    """
    async with mesh.conversation(recording.config) as conversation:
        player = _Player(conversation, recording, on_event)
        player.replayed.services = named_services(recording.config, list(conversation.session.services))
        sending, telling = asyncio.create_task(player.send()), asyncio.create_task(player.tell())
        following = asyncio.create_task(player.follow())
        try:
            await asyncio.wait({sending, following}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            else:
                sending.result()
        finally:
            await end_tasks(sending, telling, following)
    return player.replayed


class _Player:
    """Plays the client's part."""

    def __init__(self, conversation: Conversation, recording: Recording, on_event: Callable[[Event], None]) -> None:
        self.replayed = Replayed()
        self._conversation = conversation
        self._recording = recording
        self._on_event = on_event
        self._playback = Playback(SilentPlayer(recording.config.reply_audio_format.sample_rate_hertz))
        self._tool_results = _tool_results(recording)
        self._sent_bytes = 0

    async def send(self) -> None:
        """Send everything at its time; ends when nothing more is expected."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        for sent in self._recording.sent:
            await asyncio.sleep(max(0.0, began_at + sent.offset_s - loop.time()))
            await self._send(sent)
        if not self._recording.says_goodbye and self._recording.is_complete:
            await self._conversation.finish()
        await self._wait_for_turns()

    async def tell(self) -> None:
        """Tell how much of a reply was heard, if the client did."""
        if self._recording.requests("playback_position"):
            await self._playback.tell(self._conversation)

    async def follow(self) -> None:
        """Take events until the conversation ends."""
        rate_hertz = self._recording.rate_hertz
        async for event in self._conversation:
            audio_s = self._sent_bytes / 2 / rate_hertz if rate_hertz else 0.0
            self.replayed.moments.append(Moment(audio_s, event))
            self.replayed.log.take(event)
            self._on_event(event)
            match event:
                case conversation_pb2.ReplyAudio():
                    self._playback.take(event.turn_index, event.data)
                case conversation_pb2.Interrupted():
                    self._playback.interrupt()
                case conversation_pb2.ToolCall():
                    await self._conversation.send_tool_result(self._tool_result(event))
                case _:
                    pass

    async def _send(self, sent: Sent) -> None:
        match sent.request.WhichOneof("converse_request"):
            case "audio":
                await self._send_audio(sent.pcm)
            case "text":
                await self._conversation.send_text(sent.request.text)
            case "interrupt":
                await self._conversation.interrupt()
            case _:
                # Pictures are not recorded; the rest answers what came then, not what comes now.
                pass

    async def _send_audio(self, data: bytes) -> None:
        if data:
            self._sent_bytes += len(data)
            await self._conversation.send_audio(data)

    async def _wait_for_turns(self) -> None:
        """Silence until the turns of the recording are there, or will not come."""
        expected = sum(isinstance(moment.event, conversation_pb2.TurnEnded) for moment in self._recording.moments)
        has_ended = not self._recording.says_goodbye and self._recording.is_complete
        quiet = silence(self._recording.rate_hertz, CHUNK_S)
        pacer = Pacer(CHUNK_S)
        for sent in range(round(PATIENCE_S / CHUNK_S)):
            if self._is_done(expected, sent * CHUNK_S):
                return
            await pacer.wait()
            if not has_ended:
                await self._send_audio(quiet)

    def _is_done(self, expected: int, waited_s: float) -> bool:
        log = self.replayed.log
        if len(log.turns) >= expected and all(turn.is_over for turn in log.turns):
            return True
        is_quiet = not log.is_speaking and all(turn.is_over for turn in log.turns)
        return is_quiet and waited_s >= QUIET_S

    def _tool_result(self, call: conversation_pb2.ToolCall) -> ToolResult:
        """What the tool gave when it was recorded."""
        results = self._tool_results[call.name]
        if not results:
            return ToolResult(call_id=call.call_id, content="the recording has no result of this call", is_error=True)
        result = results.popleft()
        return ToolResult(call_id=call.call_id, content=result.content, is_error=result.is_error)


def _tool_results(recording: Recording) -> defaultdict[str, deque[ToolResult]]:
    """The results of each tool, in order."""
    calls = [moment.event for moment in recording.moments if isinstance(moment.event, conversation_pb2.ToolCall)]
    names = {call.call_id: call.name for call in calls}
    results: defaultdict[str, deque[ToolResult]] = defaultdict(deque)
    for request in recording.requests("tool_result"):
        results[names.get(request.tool_result.call_id, "")].append(request.tool_result)
    return results
