"""A conversation as a phone holds it: microphone frames by the clock, replies played, positions told, events kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.asking import end_tasks
from voxmesh_client.bench.conversations.microphone import FRAME_S, Microphone
from voxmesh_client.bench.conversations.player import Player
from voxmesh_client.bench.conversations.timeline import Received, Timeline
from voxmesh_client.conversation import Conversation
from voxmesh_client.events import Event, SessionReplaced
from voxmesh_client.mesh import Mesh

_TELL_EVERY_FRAMES = 5
_LOOK_S = 1.0


class BrokenOff(Exception):
    """The conversation ended before the scenario did; the message says why."""


class Stage:
    """One conversation that runs; its second n is when sample n * rate of the microphone is spoken."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.microphone = Microphone()
        self.player = Player()
        self.timeline = Timeline()
        self._began_at = asyncio.get_running_loop().time()
        self._ticked = asyncio.Event()
        self._failure = ""

    @property
    def now_s(self) -> float:
        """Seconds since the first sample."""
        return asyncio.get_running_loop().time() - self._began_at

    async def until(self, is_true: Callable[[], bool], deadline_s: float) -> bool:
        """Wait for a condition, looked at every 20 ms; false when the deadline passes first.

        Raises:
            BrokenOff: the conversation is over.
        """
        while not is_true():
            if self._failure:
                raise BrokenOff(self._failure)
            if self.now_s >= deadline_s:
                return False
            with suppress(TimeoutError):  # a coordinator that takes no audio stops the ticks, not the clock
                await asyncio.wait_for(self._ticked.wait(), _LOOK_S)
        return True

    async def speak(self) -> None:
        """Send a frame every 20 ms, when the last sample of it would have been spoken; late ones follow at once."""
        told: tuple[int, float] | None = None
        frames = 0
        while True:
            frames += 1
            due_s = frames * FRAME_S
            await asyncio.sleep(max(0.0, due_s - self.now_s))
            self.timeline.late_s = max(self.timeline.late_s, self.now_s - due_s)
            self.player.tick(due_s)
            await self._conversation.send_audio(self.microphone.frame(self.player.echo()))
            if frames % _TELL_EVERY_FRAMES == 0 and (now := self.player.position) is not None and now != told:
                await self._conversation.played(*now)
                told = now
            self._ticked.set()
            self._ticked = asyncio.Event()

    async def listen(self) -> None:
        """Keep events with the time they came."""
        async for event in self._conversation:
            self._take(event)

    def _take(self, event: Event) -> None:
        now_s = self.now_s
        self.timeline.received.append(Received(now_s, event))
        self.player.take(event, now_s)
        if isinstance(event, SessionReplaced) and not event.resumed:
            self._failure = f"a new session began: {event.reason}"

    def ended(self, task: asyncio.Task[None]) -> None:
        """One of the tasks is over, which should outlive the scenario."""
        error = None if task.cancelled() else task.exception()
        self._failure = str(error) if error is not None else self._failure or "the coordinator ended the conversation"
        self._ticked.set()


@asynccontextmanager
async def on_stage(mesh: Mesh, config: conversation_pb2.ConversationConfig) -> AsyncGenerator[Stage]:
    """A conversation for the time of a block; its microphone listens from the start.

    Raises:
        MeshError: the coordinator refuses.
    """
    async with mesh.conversation(config) as conversation:
        stage = Stage(conversation)
        stage.timeline.services = [_described(ready) for ready in conversation.session.services]
        stage.timeline.speculation_outcome = _outcome(conversation.session)
        tasks = [asyncio.create_task(stage.speak()), asyncio.create_task(stage.listen())]
        for task in tasks:
            task.add_done_callback(stage.ended)
        try:
            yield stage
        finally:
            stage.timeline.played_out_s = dict(stage.player.played_out_s)
            await end_tasks(*tasks)


def _described(ready: common_pb2.Ready) -> str:
    where = f" @{ready.host}" if ready.host else ""
    return f"{ready.engine} {ready.model}".strip() + where


def _outcome(session: conversation_pb2.SessionStarted) -> str:
    options = [option for ready in session.services for option in ready.options if option.field == "config.speculation"]
    return common_pb2.OptionOutcome.Outcome.Name(options[0].outcome) if options else ""
