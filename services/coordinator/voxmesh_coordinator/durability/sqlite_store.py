"""The embedded store: one SQLite file, which the coordinators of one host may share."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from voxmesh_coordinator.durability.store import Claimed, Entry, StoreFailed, Write
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock

T = TypeVar("T")

BUSY_S = 2.0
"""Longest wait for another process that writes, in seconds."""
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS session (
        id TEXT PRIMARY KEY, epoch INTEGER, state BLOB, current BLOB, previous BLOB, expires_at REAL
    )""",
    """CREATE TABLE IF NOT EXISTS entry (
        session_id TEXT, position INTEGER, record BLOB, PRIMARY KEY (session_id, position)
    )""",
    "CREATE INDEX IF NOT EXISTS session_expires ON session (expires_at)",
)


class SqliteStore:
    """See `SessionStore`. What was written outlives the process at once, the host within a checkpoint.

    A thread of its own makes all calls.

    Args:
        path: of the file.
        clock: of the host: all coordinators that share the file read the same.
    """

    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path, self._clock = path, clock
        self._thread = ThreadPoolExecutor(1, "session-store")
        self._connection: sqlite3.Connection | None = None

    @classmethod
    async def open(cls, path: str) -> Self:
        """Open or make the file; only its user may read it.

        Raises:
            StoreFailed: it cannot be made.
        """
        store = cls(Path(path))
        try:
            await store._call(store._open)
        except StoreFailed:
            await store.close()
            raise
        return store

    async def write(self, writes: Sequence[Write]) -> list[bool]:
        """See `SessionStore`."""
        return await self._call(lambda: self._write(writes))

    async def claim(self, session_id: str, token: bytes, new_token: bytes, ttl_s: float) -> Claimed | None:
        """See `SessionStore`."""
        if not token:
            return None
        return await self._call(lambda: self._claim(session_id, token, new_token, ttl_s))

    async def close(self) -> None:
        """See `SessionStore`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise StoreFailed(f"sessions cannot be kept in {self._path}: {error}; see VOXMESH_SESSION_STORE") from None

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
        try:
            self._prepare_in_turn(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _prepare_in_turn(self, connection: sqlite3.Connection) -> None:
        """Of two that make a new file WAL at once SQLite refuses one without a wait, lest they wait for each other."""
        until = self._clock.now() + BUSY_S
        while True:
            try:
                return _prepare(connection)
            except sqlite3.Error as error:
                if not _is_busy(error) or self._clock.now() >= until:
                    raise
            time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 # spreads those that wait, no secret

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the store is used before it is open")
        return self._connection

    @property
    def _now_s(self) -> float:
        """Seconds since the epoch: what expires is read by other processes."""
        return self._clock.wall_ns() / 1e9

    def _write(self, writes: Sequence[Write]) -> list[bool]:
        with _Transaction(self._open_connection) as connection:
            return [_write_one(connection, write, self._now_s) for write in writes]

    def _claim(self, session_id: str, token: bytes, new_token: bytes, ttl_s: float) -> Claimed | None:
        with _Transaction(self._open_connection) as connection:
            now_s = self._now_s
            row = connection.execute(
                "UPDATE session SET epoch = epoch + 1, current = ?, previous = ?, expires_at = ?"
                " WHERE id = ? AND ? IN (current, previous) AND expires_at > ? RETURNING epoch, state",
                (new_token, token, now_s + ttl_s, session_id, token, now_s),
            ).fetchone()
            if row is None:
                return None
            entries = connection.execute(
                "SELECT position, record FROM entry WHERE session_id = ? ORDER BY position", (session_id,)
            )
            return Claimed(row[0], row[1], [Entry(*entry) for entry in entries])


class _Transaction:
    """A transaction for the time of a block, taken back when the block fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _prepare(connection: sqlite3.Connection) -> None:
    """Make an empty file a store; of one that is a store nothing changes."""
    connection.execute("PRAGMA journal_mode = WAL")
    # A process may die at any moment without a loss; only a host that does loses what was last written.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = FAST")
    with _Transaction(connection):
        for statement in SCHEMA:
            connection.execute(statement)


def _is_busy(error: sqlite3.Error) -> bool:
    # The low byte is the kind of an error, the rest says more of it.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _write_one(connection: sqlite3.Connection, write: Write, now_s: float) -> bool:
    if write.is_new:
        _forget_expired(connection, now_s)
        connection.execute(
            "INSERT OR IGNORE INTO session (id, epoch, expires_at) VALUES (?, ?, 0)", (write.session_id, write.epoch)
        )
    tokens = write.tokens
    found = connection.execute(
        "UPDATE session SET expires_at = ?, state = coalesce(?, state), current = coalesce(?, current),"
        " previous = coalesce(?, previous) WHERE id = ? AND epoch = ? AND (? OR expires_at > ?)",
        (
            now_s + write.ttl_s,
            write.state,
            tokens.current if tokens is not None else None,
            tokens.previous if tokens is not None else None,
            *(write.session_id, write.epoch, write.is_new, now_s),
        ),
    ).rowcount
    if not found:
        return False
    connection.executemany(
        "INSERT INTO entry VALUES (?, ?, ?)",
        [(write.session_id, entry.position, entry.record) for entry in write.entries],
    )
    if write.drop_through:
        connection.execute(
            "DELETE FROM entry WHERE session_id = ? AND position <= ?", (write.session_id, write.drop_through)
        )
    if write.is_end:
        connection.execute("DELETE FROM session WHERE id = ?", (write.session_id,))
        connection.execute("DELETE FROM entry WHERE session_id = ?", (write.session_id,))
    return True


def _forget_expired(connection: sqlite3.Connection, now_s: float) -> None:
    gone = connection.execute("DELETE FROM session WHERE expires_at <= ? RETURNING id", (now_s,)).fetchall()
    connection.executemany("DELETE FROM entry WHERE session_id = ?", gone)
