"""The sessions of a coordinator: served while their clients are there, kept for a while when a stream broke."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.outlet import Call
from voxmesh_coordinator.services import Services
from voxmesh_coordinator.session import Session
from voxmesh_runtime.errors import InvalidArgument, NotFound, Unavailable

log = logging.getLogger(__name__)


class Sessions:
    """Begins, resumes and ends sessions.

    Args:
        services: behind the coordinator.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._expiring: dict[str, asyncio.TimerHandle] = {}

    async def begin(self, call: Call, config: conversation_pb2.ConversationConfig) -> None:
        """Serve a new session over its first stream."""
        session = Session(config, self._services)
        await session.start()
        self._sessions[session.id] = session
        await self._serve(session, call)

    async def resume(self, call: Call, resume: conversation_pb2.Resume) -> None:
        """Serve a session over another stream; one that is still open is taken from it.

        Raises:
            NotFound: it is not held here, or the token is not its newest.
        """
        session = self._sessions.get(resume.session_id)
        if session is None or not secrets.compare_digest(session.token.encode(), resume.resume_token.encode()):
            name = resume.session_id[:100]
            message = f"session {name!r} is not held here; start a new one with a config"
            raise NotFound("session", name, message)
        session.outlet.leave(Unavailable("the session was resumed on another stream"))
        self._keep(session)
        await self._serve(session, call, _last_sequence(session, resume))

    async def stop(self) -> None:
        """End all sessions."""
        sessions = list(self._sessions.values())
        for session in sessions:
            self._forget(session)
        await asyncio.gather(*(session.ended() for session in sessions))

    async def _serve(self, session: Session, call: Call, last_sequence: int | None = None) -> None:
        try:
            await session.serve(call, last_sequence)
        except LookupError:
            self._forget(session)
            message = "what the client missed is not kept any more; start a new session with a config"
            raise NotFound("session", session.id, message) from None
        except InvalidArgument:
            self._forget(session)
            raise
        finally:
            if session.is_over or session.input_ended:
                self._forget(session)
            elif not session.outlet.is_attached and session.id in self._sessions:
                self._expire_later(session)

    def _expire_later(self, session: Session) -> None:
        # Its streams to the services are opened again when they are needed.
        session.rest()
        loop = asyncio.get_running_loop()
        self._expiring[session.id] = loop.call_later(self._settings.resume_s, self._forget, session)
        while len(self._expiring) > self._settings.max_streams:
            oldest = next(iter(self._expiring))
            log.warning("too many sessions wait for their clients; the oldest is ended")
            self._forget(self._sessions[oldest])

    def _keep(self, session: Session) -> None:
        timer = self._expiring.pop(session.id, None)
        if timer is not None:
            timer.cancel()

    def _forget(self, session: Session) -> None:
        self._keep(session)
        self._sessions.pop(session.id, None)
        session.end()


def _last_sequence(session: Session, resume: conversation_pb2.Resume) -> int:
    if resume.HasField("last_sequence"):
        return resume.last_sequence
    if resume.HasField("last_reply_sequence"):
        return session.outlet.sequence_of_reply(resume.last_reply_sequence) or 0
    return 0
