"""What a session writes ahead, on a real store, and what happens when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from voxmesh.conversation.v1 import conversation_pb2 as conversation
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability import journal as journals
from voxmesh_coordinator.durability.journal import Journal, Writer
from voxmesh_coordinator.durability.reducer import Record, Response
from voxmesh_coordinator.durability.snapshot import SessionSnapshot
from voxmesh_coordinator.durability.store import Claimed, SessionStore, StoreFailed, Tokens, Write, open_store

pytestmark = pytest.mark.unit

TOKEN, NEXT = b"t" * 32, b"n" * 32
CONFIG = conversation.ConversationConfig(system_prompt="Be kind.")


class Fragile:
    """A store that may be away."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self.is_away = False
        self.batches: list[int] = []

    async def write(self, writes: list[Write]) -> list[bool]:
        if self.is_away:
            raise StoreFailed("away")
        self.batches.append(len(writes))
        return await self.store.write(writes)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Fragile]:
    store = await open_store(f"sqlite://{tmp_path}/sessions.sqlite3")
    assert store is not None
    yield Fragile(store)
    await store.close()


class Owner:
    """A session that is kept."""

    def __init__(self, store: Fragile) -> None:
        self.origin = SessionSnapshot.new(CONFIG, 4000)
        self.losses = 0
        self.journal = Journal(
            Writer(store),  # pyright: ignore[reportArgumentType] # nobody claims through it
            self.origin.session_id,
            self.origin.epoch,
            self.origin.reducer,
            self._lost,
        )
        self.journal.ttl_s, self.journal.tokens = 60.0, Tokens(TOKEN)
        self._sequence = 0

    def _lost(self) -> None:
        self.losses += 1

    async def says(self, text: str = "", turn_index: int = 0) -> bool:
        """A piece of a reply; without text the turn's end."""
        self._sequence += 1
        response = Response(reply_text=conversation.ReplyText(turn_index=turn_index, delta=text))
        if not text:
            response = Response(turn_ended=conversation.TurnEnded(turn_index=turn_index, text="Go."))
        response.sequence = self._sequence
        return await self.journal.write(response)

    async def taken(self, store: Fragile) -> SessionSnapshot:
        """What another replica gets."""
        claimed: Claimed | None = await store.store.claim(self.origin.session_id, TOKEN, NEXT, 60.0)
        assert claimed is not None
        return SessionSnapshot.of_claimed(self.origin.session_id, claimed, 4000)


async def test_another_replica_gets_the_same_state_and_all_responses(store: Fragile) -> None:
    owner = Owner(store)
    await owner.journal.begin()
    owner.journal.note(Record(microphone=session_pb2.Microphone(next_sequence=7, offset_s=0.14)))
    for text in ("", "One, ", "two."):
        assert await owner.says(text)
    taken = await owner.taken(store)
    assert taken.state == owner.origin.state
    assert (taken.state.config, taken.state.reply.text, taken.state.microphone.next_sequence) == (
        CONFIG,
        "One, two.",
        7,
    )
    assert [response.sequence for response in taken.responses] == [1, 2, 3]
    assert taken.is_taken_over


async def test_what_the_client_has_got_is_dropped_when_the_next_turn_ends(store: Fragile) -> None:
    owner = Owner(store)
    await owner.journal.begin()
    for text in ("", "One, ", "two."):
        await owner.says(text)
    owner.journal.received_sequence = 2
    await owner.says(turn_index=1)
    taken = await owner.taken(store)
    assert [response.sequence for response in taken.responses] == [3, 4]
    assert taken.state == owner.origin.state


@pytest.mark.parametrize(("bound", "most"), [("MAX_KEPT_BYTES", 2000), ("MAX_KEPT_ENTRIES", 20)])
async def test_the_log_stays_within_its_bounds_and_the_state_is_whole(
    store: Fragile, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(journals, bound, most)
    owner = Owner(store)
    await owner.journal.begin()
    await owner.says()
    for _ in range(50):
        await owner.says("x" * 100)
    taken = await owner.taken(store)
    assert len(taken.responses) < 25
    assert taken.responses[-1].sequence == 51
    assert taken.state.reply.text == "x" * 5000


async def test_the_owner_before_says_nothing_more_and_is_told(store: Fragile) -> None:
    owner = Owner(store)
    await owner.journal.begin()
    await owner.taken(store)
    assert not await owner.says()
    assert owner.losses == 1


async def test_what_is_said_at_once_is_written_at_once_and_in_order(store: Fragile) -> None:
    owner = Owner(store)
    await owner.journal.begin()
    await asyncio.gather(*(owner.says(f"{number} ") for number in range(20)))
    assert len(store.batches) <= 3
    assert [response.sequence for response in (await owner.taken(store)).responses] == list(range(1, 21))


async def test_a_session_whose_store_is_away_goes_on_and_is_kept_again_later(store: Fragile) -> None:
    owner = Owner(store)
    await owner.journal.begin()
    await owner.says()
    store.is_away = True
    assert await owner.says("One, ")
    assert await owner.says("two, ")
    assert not owner.journal.is_kept
    await owner.journal.touch()
    store.is_away = False
    await owner.journal.touch()
    assert owner.journal.is_kept
    assert await owner.says("three.")
    taken = await owner.taken(store)
    assert taken.state.reply.text == "One, two, three."
    # What was said meanwhile is in no log: a client that missed it begins anew.
    assert [response.sequence for response in taken.responses] == [4]


async def test_a_session_that_is_over_is_gone(store: Fragile) -> None:
    owner = Owner(store)
    await owner.journal.begin()
    await owner.journal.end()
    assert await store.store.claim(owner.origin.session_id, TOKEN, NEXT, 60.0) is None


async def test_without_a_store_nothing_is_waited_for() -> None:
    origin = SessionSnapshot.new(CONFIG, 4000)
    journal = Journal(None, origin.session_id, origin.epoch, origin.reducer, lambda: None)
    await journal.begin()
    assert await journal.write(Response(sequence=1))
    assert not journal.is_kept
    assert origin.state.response_sequence == 1


async def test_the_newest_account_of_a_reply_s_end_holds() -> None:
    origin = SessionSnapshot.new(CONFIG, 4000)
    journal = Journal(None, origin.session_id, origin.epoch, origin.reducer, lambda: None)
    ended = Response(turn_ended=conversation.TurnEnded(text="Go."), sequence=1)
    await journal.write(ended)
    end = session_pb2.ReplyEnd(reason=conversation.ReplyFinished.REASON_FAILED)
    end.failed.details.add()
    for _ in range(2):
        journal.note(Record(end=end))
    await journal.write_notes()
    assert origin.state.reply.end == end
