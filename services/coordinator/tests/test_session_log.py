"""What a session commits behind what it says, on a real store, also one that is slow, away or another owner's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from voxmesh.conversation.v1 import conversation_pb2 as conversation
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability import log as logs
from voxmesh_coordinator.durability.log import SessionLog, Writer
from voxmesh_coordinator.durability.state import Record, Response, SessionState, State
from voxmesh_coordinator.durability.store import SessionStore, StoreFailed, Tokens, Write
from voxmesh_coordinator.durability.stores import open_store

pytestmark = pytest.mark.unit

TOKEN, NEXT = b"t" * 32, b"n" * 32
CONFIG = conversation.ConversationConfig(system_prompt="Be kind.")


class Fragile:
    """A store that may be away, or hold its writes back."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self.is_away = False
        self.batches: list[int] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def write(self, writes: Sequence[Write]) -> list[bool]:
        await self.answers.wait()
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
        self.losses = self.sequence = 0
        writer = Writer(store)  # pyright: ignore[reportArgumentType] # nobody claims through it
        self.log = SessionLog(SessionState(State(config=CONFIG), 4000), writer)
        self.log.on_lost = self._lost
        self.log.ttl_s, self.log.tokens = 60.0, Tokens(TOKEN)

    @property
    def state(self) -> State:
        return self.log.state.proto

    def _lost(self) -> None:
        self.losses += 1

    def says(self, text: str = "", turn_index: int = 0) -> None:
        """A piece of a reply; without text the turn's end."""
        self.sequence += 1
        response = Response(reply_text=conversation.ReplyText(turn_index=turn_index, delta=text))
        if not text:
            response = Response(turn_ended=conversation.TurnEnded(turn_index=turn_index, text="Go."))
        response.sequence = self.sequence
        self.log.append(Record(response=response))

    async def taken(self, store: Fragile) -> tuple[State, list[int]]:
        """What another replica gets: the state, and the sequences of the responses that are kept."""
        claimed = await store.store.claim(self.log.session_id, TOKEN, NEXT, 60.0)
        assert claimed is not None
        entries = [(entry, Record.FromString(entry.record)) for entry in claimed.entries]
        records = [(entry.position, record) for entry, record in entries]
        log = SessionLog(SessionState.restored(claimed.state, records, 4000), session_id="taken", entries=entries)
        assert log.is_taken_over
        return log.state.proto, [response.sequence for response in log.responses]


async def test_another_replica_gets_the_same_state_and_all_responses(store: Fragile) -> None:
    owner = Owner(store)
    await owner.log.begin()
    owner.log.note(Record(microphone=session_pb2.Microphone(next_sequence=7, offset_s=0.14)))
    for text in ("", "One, ", "two."):
        owner.says(text)
    assert await owner.log.committed()
    state, sequences = await owner.taken(store)
    assert state == owner.state
    assert (state.config, state.reply.text, state.microphone.next_sequence) == (CONFIG, "One, two.", 7)
    assert sequences == [1, 2, 3]


async def test_what_the_client_has_got_is_dropped_when_the_next_turn_ends(store: Fragile) -> None:
    owner = Owner(store)
    await owner.log.begin()
    for text in ("", "One, ", "two."):
        owner.says(text)
    owner.log.received_sequence = 2
    owner.says(turn_index=1)
    await owner.log.committed()
    state, sequences = await owner.taken(store)
    assert sequences == [3, 4]
    assert state == owner.state


@pytest.mark.parametrize(("bound", "most"), [("MAX_KEPT_BYTES", 2000), ("MAX_KEPT_ENTRIES", 20)])
@pytest.mark.parametrize("at_once", [False, True])
async def test_the_log_stays_within_its_bounds_and_the_state_is_whole(
    store: Fragile, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, *, at_once: bool
) -> None:
    monkeypatch.setattr(logs, bound, most)
    owner = Owner(store)
    await owner.log.begin()
    owner.says()
    for _ in range(50):
        owner.says("x" * 100)
        if not at_once:
            await owner.log.committed()
    await owner.log.committed()
    state, sequences = await owner.taken(store)
    assert len(sequences) < 25
    assert sequences[-1] == 51
    assert state.reply.text == "x" * 5000


async def test_the_owner_before_is_told_that_what_it_says_is_void(store: Fragile) -> None:
    owner = Owner(store)
    await owner.log.begin()
    await owner.taken(store)
    owner.says()
    assert not await owner.log.committed()
    assert owner.losses == 1


async def test_what_is_said_while_a_write_is_under_way_is_the_next_write(store: Fragile) -> None:
    owner = Owner(store)
    await owner.log.begin()
    store.answers.clear()
    for number in range(20):
        owner.says(f"{number} ")
        await asyncio.sleep(0)
    store.answers.set()
    await owner.log.committed()
    assert store.batches == [1, 1, 1]
    assert (await owner.taken(store))[1] == list(range(1, 21))


async def test_what_waits_for_a_commit_comes_with_it(store: Fragile) -> None:
    owner, done = Owner(store), list[str]()
    await owner.log.begin()
    store.answers.clear()
    owner.says()
    owner.log.when_committed(lambda: done.append("turn"))
    await asyncio.sleep(0.01)
    assert (done, owner.log.is_committed(1)) == ([], False)
    store.answers.set()
    await owner.log.committed()
    assert (done, owner.log.is_committed(1)) == (["turn"], True)
    owner.log.when_committed(lambda: done.append("nothing is awaited"))
    assert done[1:] == ["nothing is awaited"]


async def test_a_session_whose_store_is_away_goes_on_and_is_kept_again_later(store: Fragile) -> None:
    owner = Owner(store)
    await owner.log.begin()
    owner.says()
    await owner.log.committed()
    store.is_away = True
    for text in ("One, ", "two, "):
        owner.says(text)
        assert await owner.log.committed()
    assert not owner.log.is_kept
    await owner.log.touch()
    store.is_away = False
    await owner.log.touch()
    assert owner.log.is_kept
    owner.says("three.")
    await owner.log.committed()
    state, sequences = await owner.taken(store)
    assert state.reply.text == "One, two, three."
    # What was said meanwhile is in no log: a client that missed it begins again.
    assert sequences == [4]


@pytest.mark.parametrize("why", ["slow", "much"])
async def test_a_session_that_is_too_far_behind_counts_as_not_kept(
    store: Fragile, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(logs, "MAX_BEHIND_S", 0.05 if why == "slow" else 60.0)
    owner, done = Owner(store), list[str]()
    await owner.log.begin()
    store.answers.clear()
    owner.says()
    owner.log.when_committed(lambda: done.append("let go"))
    await asyncio.sleep(0)
    if why == "much":
        for _ in range(11):
            owner.says("x" * 100_000)
    else:
        await owner.log.committed()
        await asyncio.sleep(0)
        assert done == ["let go"]
    assert not owner.log.is_kept
    assert owner.log.is_committed(owner.sequence)
    store.answers.set()
    await owner.log.touch()
    assert owner.log.is_kept
    state, _ = await owner.taken(store)
    assert state == owner.state


async def test_an_owner_that_was_too_slow_to_hear_it_hears_later_that_the_session_is_lost(
    store: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_BEHIND_S", 0.02)
    owner = Owner(store)
    await owner.log.begin()
    await owner.taken(store)
    store.answers.clear()
    owner.says()
    assert await owner.log.committed()
    assert owner.losses == 0
    store.answers.set()
    async with asyncio.timeout(5):
        while not owner.losses:  # noqa: ASYNC110 # nothing else tells
            await asyncio.sleep(0.01)
    await owner.log.touch()
    assert not owner.log.is_kept


async def test_a_session_that_is_over_is_gone(store: Fragile) -> None:
    owner = Owner(store)
    await owner.log.begin()
    await owner.log.end()
    assert await store.store.claim(owner.log.session_id, TOKEN, NEXT, 60.0) is None


async def test_without_a_store_nothing_is_waited_for() -> None:
    log = SessionLog(SessionState(State(config=CONFIG), 4000))
    await log.begin()
    log.append(Record(response=Response(sequence=1)))
    assert await log.committed()
    assert (log.is_kept, log.is_committed(1)) == (False, True)
    assert log.state.proto.response_sequence == 1


async def test_the_newest_account_of_a_reply_s_end_holds() -> None:
    log = SessionLog(SessionState(State(config=CONFIG), 4000))
    log.append(Record(response=Response(turn_ended=conversation.TurnEnded(text="Go."), sequence=1)))
    end = session_pb2.ReplyEnd(reason=conversation.ReplyFinished.REASON_FAILED)
    end.failed.details.add()
    for _ in range(2):
        log.note(Record(end=end))
    log.append(Record())
    assert log.state.proto.reply.end == end
