"""Sessions that replicas share, in memory: what a real store does, as slowly as a test wants it, or away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from voxmesh_coordinator.durability.store import Claimed, Entry, StoreFailed, Tokens, Write
from voxmesh_testing.virtual.loop import virtual_clock


@dataclass(slots=True)
class _Kept:
    epoch: int
    state: bytes = b""
    tokens: Tokens = field(default_factory=lambda: Tokens(b""))
    expires_at: float = 0.0
    entries: list[Entry] = field(default_factory=list[Entry])


class FakeStore:
    """What all replicas see; each has a `StoreHandle` of its own."""

    def __init__(self) -> None:
        self._clock = virtual_clock()
        self._sessions: dict[str, _Kept] = {}
        self.write_s = 0.001
        """Time that a write takes, in seconds."""
        self.claim_s = 0.001
        """Time that a claim takes, in seconds."""
        self.is_away = False
        """Whatever is asked of it fails."""

    def handle(self) -> StoreHandle:
        """The store as one replica has it."""
        return StoreHandle(self)

    def kept_entries(self) -> list[list[Entry]]:
        """The log of each session, as far as it is kept."""
        return [list(kept.entries) for kept in self._sessions.values()]

    def write(self, write: Write) -> bool:
        """Write as a whole or not at all; False when the session is over or belongs to another owner."""
        now = self._clock.now()
        if write.is_new:
            self._sessions = {name: kept for name, kept in self._sessions.items() if kept.expires_at > now}
            self._sessions.setdefault(write.session_id, _Kept(write.epoch))
        kept = self._sessions.get(write.session_id)
        if kept is None or kept.epoch != write.epoch or not (write.is_new or kept.expires_at > now):
            return False
        kept.expires_at = now + write.ttl_s
        kept.state = kept.state if write.state is None else write.state
        kept.tokens = kept.tokens if write.tokens is None else write.tokens
        kept.entries += write.entries
        kept.entries = [entry for entry in kept.entries if entry.position > write.drop_through]
        if write.is_end:
            del self._sessions[write.session_id]
        return True

    def claim(self, session_id: str, token: bytes, new_token: bytes, ttl_s: float) -> Claimed | None:
        """See `SessionStore`."""
        kept, now = self._sessions.get(session_id), self._clock.now()
        if kept is None or not token or token not in {kept.tokens.current, kept.tokens.previous}:
            return None
        if kept.expires_at <= now:
            return None
        kept.epoch += 1
        kept.tokens, kept.expires_at = Tokens(new_token, token), now + ttl_s
        return Claimed(kept.epoch, kept.state, list(kept.entries))


class StoreHandle:
    """A `SessionStore` of one replica; once that is dead nothing it asks for happens."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.is_dead = False

    async def write(self, writes: Sequence[Write]) -> list[bool]:
        """See `SessionStore`."""
        await self._wait(self._store.write_s)
        return [self._store.write(write) for write in writes]

    async def claim(self, session_id: str, token: bytes, new_token: bytes, ttl_s: float) -> Claimed | None:
        """See `SessionStore`."""
        await self._wait(self._store.claim_s)
        return self._store.claim(session_id, token, new_token, ttl_s)

    async def close(self) -> None:
        """See `SessionStore`."""

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.is_dead or self._store.is_away:
            raise StoreFailed("the store is away")
