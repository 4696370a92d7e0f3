"""What every store must do, shown on a real SQLite file, on a real Redis server, and on the fake of session tests."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis_server import redis_server

from voxmesh_coordinator.durability import stores as session_stores
from voxmesh_coordinator.durability.store import FIRST_EPOCH, Entry, SessionStore, StoreFailed, Tokens, Write
from voxmesh_coordinator.durability.stores import open_store
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_testing.virtual.store import FakeStore

pytestmark = pytest.mark.unit

TTL_S = 60.0
FIRST, SECOND, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))
BEGIN = Write("s1", FIRST_EPOCH, TTL_S, state=b"begun", tokens=Tokens(FIRST), is_new=True)


@pytest.fixture(params=["sqlite", "redis", "fake"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[str | FakeStore]:
    """Of a store that is empty; the fake itself stands for its own."""
    match request.param:
        case "sqlite":
            yield f"sqlite://{tmp_path}/kept/sessions.sqlite3"
        case "redis":
            async with redis_server(tmp_path) as address:
                yield address
        case _:
            yield FakeStore()


@asynccontextmanager
async def opened(url: str | FakeStore) -> AsyncGenerator[SessionStore]:
    """The store, as one replica has it."""
    store = url.handle() if isinstance(url, FakeStore) else await open_store(url)
    assert store is not None
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(url: str | FakeStore) -> AsyncGenerator[SessionStore]:
    """One replica's."""
    async with opened(url) as one:
        yield one


def of_log(*positions: int, epoch: int = FIRST_EPOCH) -> Write:
    """Entries at these positions."""
    return Write("s1", epoch, TTL_S, [Entry(position, b"\0record %d" % position) for position in positions])


async def test_another_replica_gets_all_that_was_written(url: str | FakeStore, store: SessionStore) -> None:
    assert await store.write([BEGIN, of_log(1, 2), of_log(3)]) == [True, True, True]
    async with opened(url) as other:
        claimed = await other.claim("s1", FIRST, SECOND, TTL_S)
    assert claimed is not None
    assert claimed.state == b"begun"
    assert [(entry.position, entry.record) for entry in claimed.entries] == [
        (position, b"\0record %d" % position) for position in (1, 2, 3)
    ]


async def test_the_owner_before_can_write_nothing_more(url: str | FakeStore, store: SessionStore) -> None:
    await store.write([BEGIN])
    async with opened(url) as other:
        claimed = await other.claim("s1", FIRST, SECOND, TTL_S)
        assert claimed is not None
        late = [of_log(1), Write("s1", FIRST_EPOCH, TTL_S, is_end=True), replace(BEGIN, state=b"again")]
        assert await store.write(late) == [False, False, False]
        assert await other.write([of_log(1, epoch=claimed.epoch)]) == [True]
        again = await store.claim("s1", SECOND, THIRD, TTL_S)
    assert again is not None
    assert (again.state, [entry.position for entry in again.entries]) == (b"begun", [1])


async def test_only_the_token_and_the_one_before_it_claim(store: SessionStore) -> None:
    await store.write([BEGIN])
    assert await store.claim("s1", SECOND, THIRD, TTL_S) is None
    assert await store.claim("s1", b"", THIRD, TTL_S) is None
    assert await store.claim("s2", FIRST, THIRD, TTL_S) is None
    claimed = await store.claim("s1", FIRST, SECOND, TTL_S)
    assert claimed is not None
    # The client may never have got the second; once it has shown that, the first is spent.
    again = await store.claim("s1", FIRST, SECOND, TTL_S)
    assert again is not None
    assert await store.write([Write("s1", again.epoch, TTL_S, tokens=Tokens(SECOND))]) == [True]
    assert await store.claim("s1", FIRST, THIRD, TTL_S) is None
    assert await store.claim("s1", SECOND, THIRD, TTL_S) is not None


async def test_of_many_who_claim_at_once_one_can_write(url: str | FakeStore, store: SessionStore) -> None:
    await store.write([BEGIN])
    async with opened(url) as other:
        tried = await asyncio.gather(
            *(each.claim("s1", FIRST, bytes([number]) * 32, TTL_S) for number in range(10) for each in (store, other))
        )
        epochs = [claimed.epoch for claimed in tried if claimed is not None]
        written = await store.write([of_log(1, epoch=epoch) for epoch in epochs])
    assert len(set(epochs)) == len(epochs) == 20
    assert sum(written) == 1
    assert epochs[written.index(True)] == max(epochs)


async def test_what_is_dropped_is_gone_and_a_new_state_replaces_the_old(store: SessionStore) -> None:
    await store.write([BEGIN, of_log(1, 2, 3)])
    assert await store.write([Write("s1", FIRST_EPOCH, TTL_S, [Entry(4, b"four")], b"later", drop_through=2)]) == [True]
    claimed = await store.claim("s1", FIRST, SECOND, TTL_S)
    assert claimed is not None
    assert claimed.state == b"later"
    assert [entry.position for entry in claimed.entries] == [3, 4]


async def test_an_ended_session_leaves_nothing(store: SessionStore) -> None:
    await store.write([BEGIN, of_log(1)])
    assert await store.write([Write("s1", FIRST_EPOCH, TTL_S, is_end=True)]) == [True]
    assert await store.claim("s1", FIRST, SECOND, TTL_S) is None
    assert await store.write([of_log(2)]) == [False]


async def test_a_session_that_nobody_writes_to_expires(store: SessionStore) -> None:
    await store.write([replace(BEGIN, ttl_s=0.2), replace(of_log(1), ttl_s=0.2)])
    await asyncio.sleep(0.3)
    assert await store.write([of_log(2)]) == [False]
    assert await store.claim("s1", FIRST, SECOND, TTL_S) is None
    await store.write([BEGIN])
    begun_anew = await store.claim("s1", FIRST, SECOND, TTL_S)
    assert begun_anew is not None
    assert begun_anew.entries == []


async def test_every_write_puts_the_end_off(store: SessionStore) -> None:
    await store.write([replace(BEGIN, ttl_s=0.2), Write("s1", FIRST_EPOCH, TTL_S)])
    await asyncio.sleep(0.3)
    assert await store.claim("s1", FIRST, SECOND, TTL_S) is not None


async def test_only_its_user_may_read_the_file(tmp_path: Path) -> None:
    async with opened(f"sqlite://{tmp_path}/kept/sessions.sqlite3") as store:
        await store.write([BEGIN])
        modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "kept").iterdir()}
    assert modes == {0}


@pytest.mark.parametrize("missing", ["sqlite:///proc/no/such/file", "redis://127.0.0.1:9/0"])
async def test_a_store_that_is_not_there_says_so(missing: str) -> None:
    with pytest.raises(StoreFailed, match="VOXMESH_SESSION_STORE"):
        await open_store(missing)


@pytest.mark.parametrize("wrong", ["", "memcached://host", "/a/path"])
async def test_an_address_of_no_store_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidArgument, match="sqlite:///PATH"):
        await open_store(wrong)


async def test_redis_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> object:
        return None if name == "redis" else importlib.util.find_spec(name)

    monkeypatch.setattr(session_stores, "find_spec", found)
    with pytest.raises(InvalidArgument, match=r"voxmesh-coordinator\[redis\]"):
        await open_store("redis://127.0.0.1:9/0")
