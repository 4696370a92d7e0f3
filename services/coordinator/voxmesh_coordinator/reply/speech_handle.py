"""One reply under way: made while nobody hears it, given once its turn is over, and stopped at any moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import grpc

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.history import History
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.parts import ReplyParts
from voxmesh_coordinator.reply.pipeline import ReplyPipeline
from voxmesh_coordinator.reply.playout_gate import PlayoutGate
from voxmesh_coordinator.reply.user_turn import UserTurn
from voxmesh_coordinator.turn.events import Event, ReplyFailed, ReplyFinished, ReplyReady
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.errors import first_error

log = logging.getLogger(__name__)

Response = conversation_pb2.ConverseResponse


class SpeechHandle:
    """A reply and its task; the task ends before the audio is played.

    Args:
        reply_id: by which events name it.
        turn: what is answered.
        history: what was said before it.
        parts: of the session.
        send: to the client.
        put: takes the events.
        saved: what another coordinator did of it.
    """

    def __init__(
        self,
        reply_id: int,
        turn: UserTurn,
        history: History,
        parts: ReplyParts,
        *,
        send: Callable[[Response], None],
        put: Callable[[Event], None],
        saved: session_pb2.Reply | None = None,
    ) -> None:
        self.id, self.turn = reply_id, turn
        self._put = put
        self._gate = PlayoutGate(send, parts.writable, on_ready=lambda: put(ReplyReady(reply_id)))
        self.pipeline = ReplyPipeline(
            turn, history, parts, self._gate, saved, on_failed=lambda: put(ReplyFailed(reply_id))
        )
        self.task: asyncio.Task[None] | None = None

    def start(self, services: BackendRegistry, before: frozenset[asyncio.Task[None]]) -> None:
        """Begin it once these tasks are over."""
        self.task = asyncio.create_task(self._run(services, before))

    def release(self) -> None:
        """It may be heard from now on."""
        self._gate.open()

    def hold(self) -> None:
        """Nothing more of it is heard until `release`."""
        self._gate.hold()

    def cancel(self) -> None:
        """Stop it on every hop; from now on nothing of it reaches anybody."""
        self._gate.close()
        if self.task is not None:
            self.task.cancel()

    async def _run(self, services: BackendRegistry, before: frozenset[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        pipeline = self.pipeline
        try:
            await pipeline.run(services)
        except* ServiceFailed as failures:
            cause = first_error(failures)
            await pipeline.failed(cause if isinstance(cause, ServiceFailed) else _internal_error())
        except* Exception:
            # A bug of ours costs the turn, not the session, which would wait for this reply for ever.
            log.exception("replying failed")
            await pipeline.failed(_internal_error())
        playout = pipeline.playout
        self._put(ReplyFinished(self.id, pipeline.has_failed, playout.sent_s, playout.began_at))


def _internal_error() -> ServiceFailed:
    return ServiceFailed("coordinator", grpc.StatusCode.INTERNAL, "internal error; its log says more")
