"""The sessions of a coordinator: served while their clients are there, kept for a while when a stream broke."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from typing import Any

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.log import Record, SessionLog, Writer
from voxmesh_coordinator.durability.resuming import catch_up, check_resume
from voxmesh_coordinator.durability.state import SessionState, UnknownFormat
from voxmesh_coordinator.durability.store import SessionStore, digest
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.session.responses import TAKEN, Call
from voxmesh_coordinator.session.session import Session
from voxmesh_runtime.errors import InvalidArgument, NotFound, Unavailable
from voxmesh_runtime.quoting import quote

logger = logging.getLogger(__name__)

SIGNS_OF_LIFE = 3
"""Writes to the store in the time that a session waits for its client, of one that says nothing."""
LOOK_S = 0.25
"""Longest time in which a session that is busy does not look whether another replica has taken it, in seconds."""


class Sessions:
    """Begins, resumes and ends sessions.

    Args:
        services: behind the coordinator.
        store: shared with other replicas; None keeps sessions in memory alone.
    """

    def __init__(self, services: BackendRegistry, store: SessionStore | None) -> None:
        self.services = services
        self._settings = services.settings
        self._store = store if services.settings.resume_s else None
        self._writer = Writer(self._store) if self._store is not None else None
        self._sessions: dict[str, Session] = {}
        self._expiring: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._life_s = self._settings.resume_s / SIGNS_OF_LIFE
        self._attached_s = self._settings.resume_s + self._life_s
        """How long a session whose client is there is kept without a write, in seconds."""
        living = (self._heartbeat(), self._look()) if self._writer is not None else ()
        self._living = [asyncio.create_task(each) for each in living]

    async def begin(self, call: Call, config: conversation_pb2.ConversationConfig) -> None:
        """Serve a new session over its first stream."""
        state = SessionState(session_pb2.State(config=config), self._settings.history_characters)
        log = SessionLog(state, self._writer, token=_new_token(), ttl_s=self._attached_s)
        session = Session(log, self.services)
        await session.start()
        self._sessions[session.id] = session
        await log.begin()
        await self._serve(session, call)

    async def resume(self, call: Call, resume: conversation_pb2.Resume) -> None:
        """Serve a session over another stream; one that is still open is taken from it, here or elsewhere.

        Raises:
            NotFound: it is not kept, or the token is not its newest, or a coordinator of a later version keeps it.
            InvalidArgument: what it says of the turn is outside its limits.
            StoreFailed: whether it is kept cannot be told.
        """
        check_resume(resume)
        session = await self._resume_own(resume)
        if session is not None:
            await self._serve(session, call, _last_sequence(session, resume))
            return
        log = await self._claim(resume)
        if log is None:
            name = resume.session_id
            message = f"session {quote(name)} is not kept; start a new one with a config"
            raise NotFound("session", name, message)
        void_after = catch_up(log, resume)
        session = await self._take_over(log)
        await self._serve(session, call, _last_sequence(session, resume), void_after)

    async def stop(self) -> None:
        """End all sessions here; those in the store can be resumed elsewhere."""
        sessions = list(self._sessions.values())
        for session in sessions:
            self._drop(session)
        for living in self._living:
            living.cancel()
        await asyncio.gather(*(session.ended() for session in sessions), *self._tasks)
        if self._writer is not None and self._store is not None:
            await self._writer.close()
            await self._store.close()

    async def _resume_own(self, resume: conversation_pb2.Resume) -> Session | None:
        """The session as it is held here; None when it is not, or belongs to another replica by now."""
        session = self._sessions.get(resume.session_id)
        if session is None or session.is_over or not session.log.tokens.fit(resume.resume_token):
            return None
        session.responses.leave(Unavailable(TAKEN))
        self._keep(session)
        session.log.ttl_s = self._attached_s
        token = _new_token()
        session.log.give_token(token, resume.resume_token)
        if not await session.log.committed():
            return None
        if session.log.token != token:
            raise Unavailable(TAKEN)
        return session

    async def _claim(self, resume: conversation_pb2.Resume) -> SessionLog | None:
        """The session as the store has it; None when it has not, or the token is another.

        Raises:
            NotFound: a coordinator of another version keeps it.
        """
        if self._store is None:
            return None
        token, shown, ttl_s = _new_token(), resume.resume_token, self._attached_s
        claimed = await self._store.claim(resume.session_id, digest(shown), digest(token), ttl_s)
        if claimed is None:
            return None
        entries = [(entry, Record.FromString(entry.record)) for entry in claimed.entries]
        records = ((entry.position, record) for entry, record in entries)
        try:
            state = SessionState.restored(claimed.state, records, self._settings.history_characters)
        except UnknownFormat as unknown:
            message = f"the session is kept in format {unknown}, which this coordinator does not read; upgrade first"
            raise NotFound("session", resume.session_id, message) from None
        return SessionLog(
            state,
            self._writer,
            token=token,
            shown=shown,
            ttl_s=ttl_s,
            session_id=resume.session_id,
            epoch=claimed.epoch,
            entries=entries,
        )

    async def _take_over(self, log: SessionLog) -> Session:
        """Go on with a session that another replica has held, or this one before it was started again."""
        session = Session(log, self.services)
        await session.start()
        old = self._sessions.get(session.id)
        if old is not None and old.log.epoch > log.epoch:
            session.end()
            raise Unavailable(TAKEN)
        if old is not None:
            old.supersede()
            self._drop(old)
        self._sessions[session.id] = session
        logger.info("a session was taken over", extra={"session_id": session.id, "epoch": log.epoch})
        return session

    async def _serve(
        self, session: Session, call: Call, last_sequence: int | None = None, void_after: int | None = None
    ) -> None:
        try:
            await session.serve(call, last_sequence, void_after)
        except LookupError:
            self._forget(session)
            message = "what the client missed is not kept any more; start a new session with a config"
            raise NotFound("session", session.id, message) from None
        except InvalidArgument:
            self._forget(session)
            raise
        finally:
            if session.log.is_lost or self._sessions.get(session.id) is not session:
                self._drop(session)
            elif session.is_over or session.input_ended:
                self._forget(session)
            elif not session.responses.is_attached:
                self._expire_later(session)

    def _expire_later(self, session: Session) -> None:
        # Its streams to the services are opened again when they are needed.
        session.rest()
        session.log.ttl_s = self._settings.resume_s
        self._later(session.log.touch())
        loop = asyncio.get_running_loop()
        self._expiring[session.id] = loop.call_later(self._settings.resume_s, self._forget, session)
        while len(self._expiring) > self._settings.max_streams:
            oldest = next(iter(self._expiring))
            logger.warning("too many sessions wait for their clients; the oldest is ended")
            self._forget(self._sessions[oldest])

    def _keep(self, session: Session) -> None:
        timer = self._expiring.pop(session.id, None)
        if timer is not None:
            timer.cancel()

    def _forget(self, session: Session) -> None:
        """End a session for good."""
        self._drop(session)
        self._later(session.log.end())

    def _drop(self, session: Session) -> None:
        """End a session here."""
        if self._sessions.get(session.id) is session:
            self._keep(session)
            del self._sessions[session.id]
        session.end()

    async def _heartbeat(self) -> None:
        """A session whose client says nothing is not to expire while its owner lives."""
        while True:
            await asyncio.sleep(self._life_s)
            attached = [each for each in self._sessions.values() if each.responses.is_attached]
            await asyncio.gather(*(session.log.touch() for session in attached))

    async def _look(self) -> None:
        """A session that waits for its services is to learn soon that its client went to another replica."""
        while True:
            await asyncio.sleep(LOOK_S)
            for session in self._sessions.values():
                if session.is_busy:
                    session.log.look()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _new_token() -> str:
    return secrets.token_urlsafe(24)


def _last_sequence(session: Session, resume: conversation_pb2.Resume) -> int:
    if resume.HasField("last_sequence"):
        return resume.last_sequence
    if resume.HasField("last_reply_sequence"):
        return session.responses.sequence_of_reply(resume.last_reply_sequence) or 0
    return 0
