"""The shared store: a Redis server that coordinators on any host reach. Needs voxmesh-coordinator[redis].

`voxmesh:{ID}:session` is a hash with epoch, state and tokens; `voxmesh:{ID}:log` a stream whose
entries are numbered by their position. Each write and each claim is one script, and so a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from voxmesh_coordinator.durability.store import Claimed, Entry, StoreFailed, Write

TIMEOUT_S = 2.0
"""Longest wait for an answer, in seconds."""

WRITE = """
local session, log = KEYS[1], KEYS[2]
local epoch, is_new, is_end, ttl_ms = ARGV[1], ARGV[2] == '1', ARGV[3] == '1', ARGV[4]
if redis.call('HGET', session, 'epoch') ~= epoch then
  if not is_new or redis.call('EXISTS', session) == 1 then return 0 end
  redis.call('HSET', session, 'epoch', epoch)
end
if is_end then
  redis.call('DEL', session, log)
  return 1
end
if ARGV[5] == '1' then redis.call('HSET', session, 'state', ARGV[6]) end
if ARGV[7] == '1' then redis.call('HSET', session, 'current', ARGV[8], 'previous', ARGV[9]) end
for i = 11, #ARGV, 2 do redis.call('XADD', log, ARGV[i] .. '-0', 'record', ARGV[i + 1]) end
if ARGV[10] ~= '0' then redis.call('XTRIM', log, 'MINID', (tonumber(ARGV[10]) + 1) .. '-0') end
redis.call('PEXPIRE', session, ttl_ms)
redis.call('PEXPIRE', log, ttl_ms)
return 1
"""
CLAIM = """
local session, log = KEYS[1], KEYS[2]
local token, new_token, ttl_ms = ARGV[1], ARGV[2], ARGV[3]
local known = redis.call('HMGET', session, 'current', 'previous')
if token ~= known[1] and token ~= known[2] then return false end
local epoch = redis.call('HINCRBY', session, 'epoch', 1)
redis.call('HSET', session, 'current', new_token, 'previous', token)
redis.call('PEXPIRE', session, ttl_ms)
redis.call('PEXPIRE', log, ttl_ms)
return {epoch, redis.call('HGET', session, 'state'), redis.call('XRANGE', log, '-', '+')}
"""


class RedisStore:
    """See `SessionStore`."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect.

        Raises:
            StoreFailed: nothing answers there.
        """
        store = cls(url)
        try:
            async with _typed_errors():
                await store._redis.ping()
        except StoreFailed:
            await store.close()
            raise
        return store

    async def write(self, writes: Sequence[Write]) -> list[bool]:
        """See `SessionStore`."""
        async with _typed_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for write in writes:
                # With its text: a name would have to be looked up first, and be lost when the server is restarted.
                pipeline.eval(WRITE, 2, *_keys(write.session_id), *_arguments(write))
            return [written == 1 for written in await pipeline.execute()]

    async def claim(self, session_id: str, token: bytes, new_token: bytes, ttl_s: float) -> Claimed | None:
        """See `SessionStore`."""
        if not token:
            return None
        async with _typed_errors():
            arguments = [*_keys(session_id), token, new_token, _milliseconds(ttl_s)]
            found: Any = await self._redis.eval(CLAIM, 2, *arguments)
        if found is None:
            return None
        epoch, state, entries = found
        return Claimed(epoch, state, [Entry(int(name.split(b"-")[0]), fields[1]) for name, fields in entries])

    async def close(self) -> None:
        """See `SessionStore`."""
        await self._redis.aclose()


@asynccontextmanager
async def _typed_errors() -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(2 * TIMEOUT_S):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreFailed(f"the session store does not answer: {error}; see VOXMESH_SESSION_STORE") from None


def _keys(session_id: str) -> list[str]:
    # One hash tag: both keys lie on one node of a cluster.
    return [f"voxmesh:{{{session_id}}}:session", f"voxmesh:{{{session_id}}}:log"]


def _arguments(write: Write) -> list[bytes | int]:
    tokens = write.tokens
    return [
        write.epoch,
        int(write.is_new),
        int(write.is_end),
        _milliseconds(write.ttl_s),
        *(int(write.state is not None), write.state or b""),
        int(tokens is not None),
        *((tokens.current, tokens.previous) if tokens is not None else (b"", b"")),
        write.drop_through,
        *(part for entry in write.entries for part in (entry.position, entry.record)),
    ]


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
