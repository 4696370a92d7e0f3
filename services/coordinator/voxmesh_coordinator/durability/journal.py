"""What a session writes ahead of what it says, so that another replica can go on from there.

note ──► record ──► Journal ──► Writer: what all sessions write at about the same time, at once ──► store
└────► SessionReducer: the state, which replaces the log before it at the end of each turn
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.reducer import SessionReducer
from voxmesh_coordinator.durability.store import Entry, SessionStore, StoreFailed, Tokens, Write

log = logging.getLogger(__name__)

Record = session_pb2.Record
Response = conversation_pb2.ConverseResponse

MAX_KEPT_BYTES = 8 * 1024 * 1024
"""Log of one session in the store; beyond it the older half is given up."""
MAX_KEPT_ENTRIES = 5000
"""The same in entries: 40 minutes in which nothing is said but the microphone's place."""


class Writer:
    """Writes for all sessions of a coordinator: what comes while one write is under way is the next."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._waiting: list[tuple[Write, asyncio.Future[bool]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, write: Write) -> bool:
        """Write after all that came before; False when the session belongs to another owner.

        Raises:
            StoreFailed: the store cannot be reached.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        if self._task is None:
            self._task = asyncio.create_task(self._write_all())
        return await future

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
                if not future.done():
                    future.set_exception(failure)
            return
        for (_, future), is_written in zip(batch, written, strict=True):
            if not future.done():
                future.set_result(is_written)


class Journal:
    """The log of one session.

    Args:
        writer: None when sessions are not kept.
        session_id: of the session.
        epoch: of this owner's claim.
        reducer: the session's state.
        on_lost: called when another replica has taken the session.
    """

    def __init__(
        self, writer: Writer | None, session_id: str, epoch: int, reducer: SessionReducer, on_lost: Callable[[], None]
    ) -> None:
        self.ttl_s = 0.0
        """How long the session is kept without a write, in seconds."""
        self.tokens = Tokens(b"")
        """Of the session; written with `write_tokens`."""
        self.received_sequence = 0
        """Responses up to this one the client has surely got."""
        self.stamp: Callable[[Record], None] = lambda _: None
        """Adds what holds at the moment of a record, just before it is written."""
        self._writer = writer
        self._session_id = session_id
        self._epoch = epoch
        self._reducer = reducer
        self._on_lost = on_lost
        self._position = reducer.state().position
        self._notes = Record()
        self._has_notes = False
        self._kept: deque[tuple[int, int, int]] = deque()
        self._kept_bytes = 0
        self._is_kept = False

    @property
    def is_kept(self) -> bool:
        """Another replica could take the session over."""
        return self._writer is not None and self._is_kept

    def taken_over(self, entries: Sequence[tuple[Entry, Record]]) -> None:
        """The log that another replica has written."""
        self._is_kept = True
        for entry, record in entries:
            self._position = max(self._position, entry.position)
            self._keep(entry, record)

    def note(self, record: Record) -> None:
        """Something that the next record will say too."""
        if record.HasField("end"):
            self._notes.ClearField("end")
        self._notes.MergeFrom(record)
        self._has_notes = True

    async def begin(self) -> None:
        """Keep the session from now on, from its state as it is; nothing changes if that fails."""
        self._is_kept = True
        self._kept.clear()
        self._kept_bytes = 0
        state = self._reducer.state().SerializeToString()
        await self._write(
            self._of_session(state=state, tokens=self.tokens, drop_through=self._position, is_new=True),
        )

    async def write(self, response: Response) -> bool:
        """Write a response that is about to be sent; False when it must not be: the session is another's."""
        return await self._record(Record(response=response))

    async def write_notes(self) -> bool:
        """Write what was noted, if anything was or holds anew; see `write`."""
        return await self._record(Record())

    async def write_tokens(self) -> bool:
        """The client is given another token, or has shown that it has the newest; see `write`."""
        return await self._write(self._of_session(tokens=self.tokens))

    async def touch(self) -> None:
        """The session lives; one that could not be kept is tried again."""
        if self._is_kept:
            await self._write(self._of_session())
        else:
            await self.begin()

    async def end(self) -> None:
        """The session is over for good."""
        if self._is_kept:
            await self._write(self._of_session(is_end=True))

    async def _record(self, record: Record) -> bool:
        if self._has_notes:
            record.MergeFrom(self._notes)
            self._notes, self._has_notes = Record(), False
        self.stamp(record)
        if not record.ListFields():
            return True
        self._position += 1
        if self._writer is None:
            self._reducer.take(self._position, record)
            return True
        entry = Entry(self._position, record.SerializeToString())
        state: bytes | None = None
        if record.response.HasField("turn_ended") or self._is_full(1.0):
            state = self._reducer.state().SerializeToString()
        self._reducer.take(self._position, record)
        drop_through = self._drop() if state is not None else 0
        self._keep(entry, record)
        return await self._write(self._of_session(entries=(entry,), state=state, drop_through=drop_through))

    def _of_session(
        self,
        *,
        entries: tuple[Entry, ...] = (),
        state: bytes | None = None,
        drop_through: int = 0,
        tokens: Tokens | None = None,
        is_new: bool = False,
        is_end: bool = False,
    ) -> Write:
        return Write(
            self._session_id,
            self._epoch,
            self.ttl_s,
            entries=entries,
            state=state,
            drop_through=drop_through,
            tokens=tokens,
            is_new=is_new,
            is_end=is_end,
        )

    async def _write(self, write: Write) -> bool:
        if self._writer is None or not self._is_kept:
            return True
        try:
            is_written = await self._writer.write(write)
        except StoreFailed as failure:
            # Better a session that cannot move than one that falls silent.
            if self._is_kept:
                log.warning("a session cannot be resumed elsewhere", extra={"problem": failure.message})
            self._is_kept = False
            return True
        if not is_written:
            self._on_lost()
        return is_written

    def _is_full(self, share: float) -> bool:
        """The log has more than this share of what it may have."""
        return self._kept_bytes > share * MAX_KEPT_BYTES or len(self._kept) > share * MAX_KEPT_ENTRIES

    def _keep(self, entry: Entry, record: Record) -> None:
        self._kept.append((entry.position, record.response.sequence, len(entry.record)))
        self._kept_bytes += len(entry.record)

    def _drop(self) -> int:
        """Entries that the state holds and no client needs; gives the last position dropped."""
        dropped, share = 0, 0.5 if self._is_full(1.0) else 1.0
        while self._kept and (self._kept[0][1] <= self.received_sequence or self._is_full(share)):
            dropped, _, size = self._kept.popleft()
            self._kept_bytes -= size
        return dropped
