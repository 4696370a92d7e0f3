"""The log of a session: what it says is applied to its state at once, and committed to the store behind that.

append ──► SessionState.apply
   └─────► batch ──► Writer: what all sessions commit at about the same time, as one ──► store
             └ one in flight a session; the state replaces the log before it at the end of each turn
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.state import SessionState
from voxmesh_coordinator.durability.store import FIRST_EPOCH, Entry, SessionStore, StoreFailed, Tokens, Write, digest

log = logging.getLogger(__name__)

Record = session_pb2.Record

MAX_KEPT_BYTES = 8 * 1024 * 1024
"""Log of one session in the store; beyond it the older half is given up."""
MAX_KEPT_ENTRIES = 5000
"""The same in entries: 40 minutes in which nothing is said but the microphone's place."""
MAX_BEHIND_S = 2.0
"""Longest time of one commit, in seconds; a session that takes longer counts as not kept."""
MAX_BEHIND_BYTES = 1024 * 1024
"""Records that may wait for a commit; a session with more counts as not kept."""


class Writer:
    """Writes for all sessions of a coordinator: what comes while one write is under way is the next."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._waiting: list[tuple[Write, asyncio.Future[bool]]] = []
        self._task: asyncio.Task[None] | None = None

    def write(self, write: Write) -> asyncio.Future[bool]:
        """Write after all that came before.

        Returns:
            Whether it was; False when the session belongs to another owner. Fails with StoreFailed when the store
            cannot be reached.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        if self._task is None:
            self._task = asyncio.create_task(self._write_all())
        return future

    async def close(self) -> None:
        """Wait until all is written."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._write_batch(batch)
        finally:
            self._task = None

    async def _write_batch(self, batch: list[tuple[Write, asyncio.Future[bool]]]) -> None:
        try:
            written = await self._store.write([write for write, _ in batch])
        except StoreFailed as failure:
            for _, future in batch:
                future.set_exception(failure)
            return
        for (_, future), is_written in zip(batch, written, strict=True):
            future.set_result(is_written)


@dataclass(slots=True, eq=False)
class _Batch:
    """What a session writes at once."""

    write: Write
    done: asyncio.Future[bool]
    """Whether it is committed, or the session is not kept any more; False when the session is another's."""
    size_bytes: int = 0
    sequence: int = 0
    """Highest of the responses that are kept with it."""


class SessionLog:
    """The log of one session, with the state that it makes.

    Args:
        state: of the session, with the log so far.
        writer: None when sessions are not kept.
        token: that the client is given, which lets it resume.
        shown: the token that it got this one for; empty for none.
        ttl_s: how long the session is kept without a write, in seconds.
        session_id: of a session that another replica has held.
        epoch: of this owner's claim.
        entries: the log as that one has written it, as far as it is kept.
    """

    def __init__(
        self,
        state: SessionState,
        writer: Writer | None = None,
        *,
        token: str = "",
        shown: str = "",
        ttl_s: float = 0.0,
        session_id: str | None = None,
        epoch: int = FIRST_EPOCH,
        entries: Sequence[tuple[Entry, Record]] = (),
    ) -> None:
        self.state = state
        self.session_id = session_id or uuid.uuid4().hex
        self.epoch = epoch
        self.is_taken_over = session_id is not None
        """It did not begin here."""
        self.responses = [record.response for _, record in entries if record.HasField("response")]
        """What its client may have missed of another replica."""
        self.ttl_s = ttl_s
        """As it is told when the next write begins."""
        self.token = token
        """The client's newest."""
        self.tokens = Tokens(digest(token), digest(shown))
        self.is_kept = writer is not None and self.is_taken_over
        """Another replica could take the session over, as it was a moment ago."""
        self.is_lost = False
        """Another replica has taken the session."""
        self.received_sequence = 0
        """Responses up to this one the client has surely got."""
        self.stamp: Callable[[Record], None] = lambda _: None
        """Adds what holds at the moment of a record."""
        self.on_commit: Callable[[], None] = lambda: None
        """Called when more is committed, or nothing is waited for any more."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called when another replica has taken the session."""
        self._writer = writer
        self._notes = Record()
        self._kept: deque[tuple[int, int, int]] = deque()
        self._kept_bytes = 0
        self._batch: _Batch | None = None
        self._in_flight: _Batch | None = None
        self._committing: asyncio.Task[None] | None = None
        self._committed_sequence = state.proto.response_sequence
        self._has_committed = False
        for entry, record in entries:
            self._keep(entry.position, record.response.sequence, len(entry.record))

    @property
    def behind_bytes(self) -> int:
        """Size of the records that wait for their commit."""
        return self._batch.size_bytes if self._batch is not None else 0

    def is_committed(self, sequence: int) -> bool:
        """A response is in the store, or nothing is."""
        return not self.is_kept or sequence <= self._committed_sequence

    def note(self, record: Record) -> None:
        """Something that the next record will say too."""
        if record.HasField("end"):
            self._notes.ClearField("end")
        self._notes.MergeFrom(record)

    def append(self, record: Record) -> None:
        """Take the next record, with what was noted before it; one that says nothing is none."""
        record.MergeFrom(self._notes)
        self._notes = Record()
        self.stamp(record)
        if not record.ListFields():
            return
        state = self.state
        position = state.proto.position + 1
        if not self.is_kept:
            state.apply(position, record)
            return
        batch, entry = self._next_batch(), Entry(position, record.SerializeToString())
        size = len(entry.record)
        is_checkpoint = record.response.HasField("turn_ended") or self._is_full(1.0)
        if is_checkpoint:
            batch.write.state = state.proto.SerializeToString()
        state.apply(position, record)
        if is_checkpoint:
            batch.write.drop_through = self._drop() or batch.write.drop_through
        self._keep(position, record.response.sequence, size)
        batch.write.entries.append(entry)
        batch.size_bytes, batch.sequence = batch.size_bytes + size, state.proto.response_sequence
        if batch.size_bytes > MAX_BEHIND_BYTES:
            self._keep_no_more(f"more than {MAX_BEHIND_BYTES} bytes wait for the store")

    def when_committed(self, action: Callable[[], None]) -> None:
        """Do something once all that was appended so far is committed, or the session is not kept."""
        batch = self._last_batch()
        if batch is None:
            action()
        else:
            batch.done.add_done_callback(lambda done: action() if done.result() else None)

    async def committed(self) -> bool:
        """Wait until all that was appended so far is committed, or not kept; False when the session is another's."""
        batch = self._last_batch()
        return not self.is_lost if batch is None else await asyncio.shield(batch.done)

    async def begin(self) -> None:
        """Keep the session from now on, from its state as it is; nothing changes if that fails."""
        if self._writer is None or self.is_lost:
            return
        self.is_kept = True
        self._kept.clear()
        self._kept_bytes = 0
        batch, state = self._next_batch(), self.state.proto
        batch.write.state, batch.write.tokens, batch.write.is_new = state.SerializeToString(), self.tokens, True
        batch.write.drop_through, batch.sequence = state.position, state.response_sequence
        await self.committed()

    def give_token(self, token: str, shown: str = "") -> None:
        """The client gets this token; the one that it has shown is good until it is known to have got the new one."""
        self.token, self.tokens = token, Tokens(digest(token), digest(shown))
        if self.is_kept:
            self._next_batch().write.tokens = self.tokens

    async def touch(self) -> None:
        """The session lives; one that could not be kept is tried again."""
        if not self.is_kept:
            await self.begin()
            return
        self._next_batch()
        await self.committed()

    def look(self) -> None:
        """Find out whether the session is still this owner's, unless a commit since the last look has shown it."""
        if self.is_kept and self._last_batch() is None and not self._has_committed:
            self._next_batch()
        self._has_committed = False

    async def end(self) -> None:
        """The session is over for good."""
        if self.is_kept:
            self._next_batch().write.is_end = True
        await self.committed()

    def _next_batch(self) -> _Batch:
        if self._batch is None:
            write = Write(self.session_id, self.epoch, self.ttl_s)
            self._batch = _Batch(write, asyncio.get_running_loop().create_future())
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return self._batch

    def _last_batch(self) -> _Batch | None:
        return self._batch or self._in_flight

    async def _commit_all(self) -> None:
        try:
            while (batch := self._batch) is not None:
                self._batch, self._in_flight = None, batch
                await self._commit(batch)
                self._in_flight = None
        finally:
            self._committing = None

    async def _commit(self, batch: _Batch) -> None:
        if self._writer is None:
            raise RuntimeError("only what is kept is committed")
        batch.write.ttl_s = self.ttl_s
        written = self._writer.write(batch.write)
        await asyncio.wait({written}, timeout=MAX_BEHIND_S)
        if not written.done():
            # It may still tell that the session is another's.
            written.add_done_callback(self._written_late)
            self._keep_no_more(f"the store takes more than {MAX_BEHIND_S:g} s for a write")
        elif (failure := written.exception()) is not None:
            self._keep_no_more(str(failure))
        elif not written.result():
            self._lose(batch)
            return
        self._committed_sequence = max(self._committed_sequence, batch.sequence)
        self._has_committed = True
        batch.done.set_result(True)
        self.on_commit()

    def _written_late(self, written: asyncio.Future[bool]) -> None:
        if written.exception() is None and not written.result():
            self._lose()

    def _lose(self, *batches: _Batch) -> None:
        """Another owner has the session: what was said since is void."""
        self.is_lost, self.is_kept = True, False
        for batch in (*batches, self._batch):
            if batch is not None and not batch.done.done():
                batch.done.set_result(False)
        self._batch = None
        self.on_lost()

    def _keep_no_more(self, problem: str) -> None:
        """Better a session that cannot move than one that falls silent."""
        if self.is_kept:
            log.warning("a session cannot be resumed elsewhere", extra={"problem": problem})
        self.is_kept = False
        batch, self._batch = self._batch, None
        if batch is not None:
            batch.done.set_result(True)
        self.on_commit()

    def _is_full(self, share: float) -> bool:
        """The log has more than this share of what it may have."""
        return self._kept_bytes > share * MAX_KEPT_BYTES or len(self._kept) > share * MAX_KEPT_ENTRIES

    def _keep(self, position: int, sequence: int, size: int) -> None:
        self._kept.append((position, sequence, size))
        self._kept_bytes += size

    def _drop(self) -> int:
        """Entries that the state holds and no client needs; gives the last position dropped."""
        dropped, share = 0, 0.5 if self._is_full(1.0) else 1.0
        while self._kept and (self._kept[0][1] <= self.received_sequence or self._is_full(share)):
            dropped, _, size = self._kept.popleft()
            self._kept_bytes -= size
        return dropped
