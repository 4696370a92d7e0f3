"""One reply under way: made while nobody hears it, given once its turn is over, and stopped at any moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import grpc

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.state import written_characters
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.ending import End, failure_end
from voxmesh_coordinator.reply.generation import Answering
from voxmesh_coordinator.reply.output import ReplyOutput
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.playout_gate import PlayoutGate
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_coordinator.reply.vision import look
from voxmesh_coordinator.turn.events import Event, ReplyFailed, ReplyFinished, ReplyReady
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.errors import first_error

log = logging.getLogger(__name__)

Response = conversation_pb2.ConverseResponse
Record = session_pb2.Record


class SpeechHandle:
    """A reply and its task, which ends before the audio is played; the language model writes, and speech follows.

    Args:
        reply_id: by which events name it.
        turn: what is answered.
        parts: of the session.
        send: to the client.
        put: takes the events.
        saved: what another coordinator did of it; empty for a reply that begins.
    """

    def __init__(
        self,
        reply_id: int,
        turn: UserTurn,
        parts: ReplyParts,
        *,
        send: Callable[[Response], None],
        put: Callable[[Event], None],
        saved: session_pb2.Reply | None = None,
    ) -> None:
        saved = saved or session_pb2.Reply()
        self.id, self.turn, self._parts, self._put = reply_id, turn, parts, put
        self.gate = PlayoutGate(send, parts.writable, on_ready=lambda: put(ReplyReady(reply_id)))
        """Opened when the turn is over, and held while speech over the reply is judged."""
        self.output = ReplyOutput(turn, parts, self.gate, saved)
        self._answering = Answering(self.output, saved)
        self.end = End()
        """How it ends, as far as that is known."""
        self.end.CopyFrom(saved.end)
        self._written = written_characters(saved)
        """Characters that the language model wrote, once it is done; what follows is the operator's line."""
        self.task: asyncio.Task[None] | None = None

    @property
    def has_failed(self) -> bool:
        """A service failed it."""
        return self.end.HasField("failed")

    def start(self, services: BackendRegistry, before: frozenset[asyncio.Task[None]] = frozenset()) -> None:
        """Begin it once these tasks are over."""
        self.task = asyncio.create_task(self._run(services, before))

    def cancel(self) -> None:
        """Stop it on every hop; from now on nothing of it reaches anybody."""
        self.gate.close()
        if self.task is not None:
            self.task.cancel()

    async def _run(self, services: BackendRegistry, before: frozenset[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        try:
            async with self.output.speaking():
                if self._written is None:
                    await self._finish_text(await self._answer(services))
                else:
                    await self._say_line()
        except* ServiceFailed as failures:
            # The voice cannot go on: what is left to say is said in text.
            cause = first_error(failures)
            await self._finish_text(failure_end(cause if isinstance(cause, ServiceFailed) else _internal_error()))
        except* Exception:
            # A bug of ours costs the turn, not the session, which would wait for this reply for ever.
            log.exception("replying failed")
            await self._finish_text(failure_end(_internal_error()))
        await self.gate.wait_open()
        playout = self.output.playout
        self._put(ReplyFinished(self.id, self.has_failed, playout.sent_s, playout.began_at))

    async def _answer(self, services: BackendRegistry) -> End:
        """Have the answer written; gives how it ends."""
        turn = self.turn
        if turn.images and not turn.seen:
            try:
                turn.seen = await look(services, turn.images, turn.words, self.output.hop, turn.metrics.trace_context)
            except ServiceFailed as failure:
                return failure_end(failure)
            await self.output.note(Record(seen=turn.seen))
        return await self._answering.write()

    async def _finish_text(self, end: End) -> None:
        """The language model writes no more; the operator's line for such an end is said, once."""
        self.end = end
        if self.has_failed:
            self._put(ReplyFailed(self.id))
        if self._written is None:
            self._written = len(self.output.playout.text)
        await self.output.note(Record(text_characters=self._written, end=end))
        await self._say_line()

    async def _say_line(self) -> None:
        line, text = self._parts.line(self.end.reason), self.output.playout.text
        if line and len(text) == self._written:
            await self.output.say(f" {line}" if text[-1:].strip() else line)


def _internal_error() -> ServiceFailed:
    return ServiceFailed("coordinator", grpc.StatusCode.INTERNAL, "internal error; its log says more")
