"""Where sessions are kept, so that another replica can take one over; the seam that every store fills.

An owner writes with the epoch of its claim. A claim makes the epoch one higher: from then on the
owner before it can write nothing more.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from voxmesh_runtime.errors import Unavailable

FIRST_EPOCH = 1


class StoreFailed(Unavailable):
    """The store cannot be reached or refuses; nothing is known of what was to be written."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Digests of the token a client was given last, and of the one that it showed when it got that."""

    current: bytes
    previous: bytes = b""
    """Good too until the client has shown that it has the current one; empty for none."""

    def fit(self, token: str) -> bool:
        """The client may resume with this token; told in the same time whichever it is."""
        shown = digest(token)
        return bool(shown) and any([secrets.compare_digest(each, shown) for each in (self.current, self.previous)])  # noqa: C419 # in equal time


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of a session's log, by its place in it; places only grow."""

    position: int
    record: bytes


@dataclass(slots=True)
class Write:
    """What is written of one session at once, by the owner with this epoch."""

    session_id: str
    epoch: int
    ttl_s: float
    """The session is forgotten so long after its last write, in seconds."""
    entries: list[Entry] = field(default_factory=list[Entry])
    state: bytes | None = None
    """Replaces the state; None leaves it."""
    drop_through: int = 0
    """Entries up to this position are dropped."""
    tokens: Tokens | None = None
    """Replaces the tokens; None leaves them."""
    is_new: bool = False
    """The session begins with this; it has a state and tokens."""
    is_end: bool = False
    """The session is over: nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A session that now belongs to the one who claimed it."""

    epoch: int
    state: bytes
    entries: Sequence[Entry]


class SessionStore(Protocol):
    """Keeps sessions; safe for several processes at once.

    Raises from its methods:
        StoreFailed: it cannot be reached.
    """

    async def write(self, writes: Sequence[Write]) -> list[bool]:
        """Write in order, each as a whole or not at all.

        Gives for each whether it was: False when the session is over or belongs to another owner.
        """
        ...

    async def claim(self, session_id: str, token: bytes, new_token: bytes, ttl_s: float) -> Claimed | None:
        """Take over a session; of several at once who show the same token each takes it from the one before.

        Args:
            session_id: of the session.
            token: digest of the current or the previous token.
            new_token: digest of the token that is the current one from now on; `token` becomes the previous.
            ttl_s: as in `Write`.

        Returns:
            All that is kept; None when there is no such session or the token is another.
        """
        ...

    async def close(self) -> None:
        """Let go of files and connections; the sessions stay."""
        ...


def digest(token: str) -> bytes:
    """What is kept of a token: enough to know it again, and of no use to who reads the store; of none nothing."""
    return hashlib.sha256(token.encode()).digest() if token else b""
