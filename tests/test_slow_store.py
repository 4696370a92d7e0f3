"""A real store behind a wait: nobody is kept waiting for it, and what was said is kept all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from talking import chat, reply_text
from test_coordinator import coordinator, llm_proxy, says

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import MeshSettings
from voxmesh_coordinator import servicer
from voxmesh_coordinator.durability.state import Record, SessionState
from voxmesh_coordinator.durability.store import Claimed, SessionStore, Write, digest
from voxmesh_coordinator.durability.stores import open_store
from voxmesh_testing.llm_server import recorded_upstream
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.mesh

TurnReport = conversation_pb2.TurnReport
ALONE = MeshSettings(base_port=1)
"""A typed conversation needs a language model alone, which it is given."""


class SleepingStore:
    """An SQLite file on a disk that takes a second for each write."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self.written: list[str] = []
        """Kinds of the responses that are written."""

    async def write(self, writes: Sequence[Write]) -> list[bool]:
        """See `SessionStore`."""
        await asyncio.sleep(1)
        written = await self._store.write(writes)
        records = [Record.FromString(entry.record) for write in writes for entry in write.entries]
        self.written += [record.response.WhichOneof("converse_response") or "" for record in records]
        return written

    async def claim(self, session_id: str, token: bytes, new_token: bytes, ttl_s: float) -> Claimed | None:
        """See `SessionStore`."""
        return await self._store.claim(session_id, token, new_token, ttl_s)

    async def close(self) -> None:
        """See `SessionStore`."""
        await self._store.close()


async def test_a_turn_is_over_before_a_store_that_sleeps_has_any_of_it_and_then_that_has_it_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sleeping: list[SleepingStore] = []

    async def opened(url: str) -> SleepingStore:
        store = await open_store(url)
        assert store is not None
        sleeping.append(SleepingStore(store))
        return sleeping[0]

    monkeypatch.setattr(servicer, "open_store", opened)
    url = f"sqlite://{tmp_path}/sessions.sqlite3"
    async with (
        recorded_upstream() as upstream,
        llm_proxy(upstream) as target,
        coordinator(ALONE, llm_target=target, session_store=url) as (_, there),
        chat(there) as call,
    ):
        upstream.play(says("It is ", "Paris."))
        await call.conversation.send_text("What is the capital of France?")
        await call.until(TurnReport)
        (store,) = sleeping
        assert store.written == []
        assert reply_text(call, 0) == "It is Paris."
        await wait_until(lambda: store.written[-1:] == ["turn_report"])
        session = call.conversation.session
        claimed = await store.claim(session.session_id, digest(session.resume_token), digest("next"), 60)
    assert claimed is not None
    log = [(entry.position, Record.FromString(entry.record)) for entry in claimed.entries]
    state = SessionState.restored(claimed.state, log, 4000)
    assert [message.text for message in state.proto.history] == ["What is the capital of France?", "It is Paris."]
