"""What a session begins from: its config, or what another replica has kept of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.durability.reducer import Record, Response, SessionReducer, State
from voxmesh_coordinator.durability.store import FIRST_EPOCH, Claimed, Entry


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """A session as it was when this replica got it."""

    session_id: str
    epoch: int
    reducer: SessionReducer
    log: Sequence[tuple[Entry, Record]] = ()

    @classmethod
    def new(cls, config: conversation_pb2.ConversationConfig, history_characters: int) -> Self:
        """A session that begins."""
        return cls(uuid.uuid4().hex, FIRST_EPOCH, SessionReducer(State(config=config), history_characters))

    @classmethod
    def of_claimed(cls, session_id: str, claimed: Claimed, history_characters: int) -> Self:
        """A session that another replica has held, or this one before it was started again."""
        state = State.FromString(claimed.state)
        reducer = SessionReducer(state, history_characters)
        log = [(entry, Record.FromString(entry.record)) for entry in claimed.entries]
        for entry, record in log:
            # What is before the state is kept for a client that may have missed it.
            if entry.position > state.position:
                reducer.take(entry.position, record)
        return cls(session_id, claimed.epoch, reducer, log)

    @property
    def state(self) -> session_pb2.State:
        """How the session goes on."""
        return self.reducer.state()

    @property
    def is_taken_over(self) -> bool:
        """It did not begin here."""
        return self.epoch > FIRST_EPOCH

    @property
    def responses(self) -> list[Response]:
        """What its client may have missed."""
        return [record.response for _, record in self.log if record.HasField("response")]
