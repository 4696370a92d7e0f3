"""What holds for the turn machine whatever happens, in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh_coordinator.turn import commands as do
from voxmesh_coordinator.turn import events as on
from voxmesh_coordinator.turn.commands import Command
from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_coordinator.turn.events import Event
from voxmesh_coordinator.turn.machine import next_deadline, step
from voxmesh_coordinator.turn.overlap import Overlap
from voxmesh_coordinator.turn.state import Overlapping, Paused, Silent, TurnState

pytestmark = [pytest.mark.unit, pytest.mark.sweep]

BEGIN = TurnState(Endpointing(0.4, 1.5, 0.5, frozenset({"the"})))
TEXTS = st.sampled_from(["", "Right.", "How are you?", "Where is the", "how are you", "Stop that now please"])
IDS = st.integers(0, 12)
SECONDS = st.floats(0.0, 4.0)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(on.SpeechStarted, SECONDS),
    st.builds(on.SpeechStopped, SECONDS),
    st.builds(on.EndOfTurnPredicted, st.sampled_from([0.1, 0.6, 0.9]), SECONDS, words=st.none() | TEXTS),
    st.builds(on.WordsHeard, TEXTS, st.booleans()),
    st.builds(on.FinalizeAnswered),
    st.builds(
        on.OverlapJudged, st.sampled_from(Overlap), st.builds(do.JudgeOverlap, TEXTS, st.booleans(), SECONDS, st.none())
    ),
    st.builds(on.ListeningFailed, st.just("gone")),
    st.builds(on.ListeningRecovered),
    st.builds(on.Typed, TEXTS, IDS),
    st.builds(on.ImageReceived, st.just(b"one")),
    st.builds(on.InterruptRequested),
    st.builds(on.ReplyReady, IDS),
    st.builds(on.ReplyFailed, IDS),
    st.builds(on.ReplyFinished, IDS, st.booleans(), SECONDS, SECONDS),
    st.builds(on.PlaybackReached, IDS, SECONDS),
    st.builds(on.DeadlineReached, SECONDS, SECONDS),
)
JUMPS = st.lists(st.tuples(st.sampled_from([0.0, 0.02, 0.1, 0.4, 1.0, 2.0]), EVENTS), max_size=40)


@dataclass
class World:
    """Takes events, follows what was ordered, and looks that all of it fits together at every moment."""

    state: TurnState = BEGIN
    now: float = 5.0
    drafts: set[int] = field(default_factory=set[int])
    draft: int | None = None
    given: int | None = None
    committed: set[int] = field(default_factory=set[int])
    is_held: bool = False
    finalizes: int = 0
    question: do.JudgeOverlap | None = None

    def take(self, event: Event) -> list[Command]:
        before = self.state
        self.state, commands = step(self.state, event, self.now)
        if isinstance(event, on.FinalizeAnswered):
            self.finalizes = max(0, self.finalizes - 1)
        for command in commands:
            self._follow(command, before)
        assert self.is_held == self.state.is_held
        assert self.finalizes == self.state.finalizes_pending
        assert self.draft == (self.state.preparing.id if self.state.preparing else None)
        due = next_deadline(self.state)
        assert due is None or due > self.now or not isinstance(self.state.phase, Paused)
        self._waits_for_something()
        return list(commands)

    def _follow(self, command: Command, before: TurnState) -> None:  # noqa: C901 # one line for each
        match command:
            case do.PrepareReply(reply_id):
                assert self.draft is None, "two replies in preparation"
                assert reply_id not in self.drafts, "a reply is made twice"
                self.drafts.add(reply_id)
                self.draft = reply_id
            case do.DropReply():
                assert self.draft is not None, "nothing to throw away"
                self.draft = None
            case do.CommitTurn(turn_id):
                assert self.draft is not None, "no reply to give"
                assert turn_id not in self.committed, "a turn is committed twice"
                self.committed.add(turn_id)
                self.given, self.draft = self.draft, None
            case do.FailTurn(turn_id):
                assert turn_id not in self.committed
                self.committed.add(turn_id)
                self.finalizes = 0
            case do.DiscardAudio():
                self.finalizes = 0
            case do.DiscardTurn(turn_id):
                assert turn_id not in self.committed
            case do.HoldReply():
                assert not self.is_held
                assert before.replying is not None
                self.is_held = True
            case do.ResumeReply():
                assert self.is_held, "nothing was lowered"
                self.is_held = False
            case do.InterruptReply(is_held=is_held):
                assert self.given is not None
                assert is_held == self.is_held
                self.given, self.is_held = None, False
            case do.Finalize():
                self.finalizes += 1
            case do.JudgeOverlap():
                self.question = command
            case _:
                pass

    def _waits_for_something(self) -> None:
        """A pause ends by itself, unless an answer is owed."""
        match self.state.phase:
            case Paused(turn, _):
                is_owed = self.state.finalizes_pending or turn.overlap is Overlapping.JUDGING
                assert is_owed or next_deadline(self.state) is not None
            case _:
                pass

    def settle(self) -> None:
        """Whatever is asked for is answered from now on, and nobody says anything more."""
        for _ in range(200):
            if self.state.is_over:
                return
            self.now += 0.01
            if not self._answer():
                due = next_deadline(self.state)
                assert due is not None, f"it waits for ever: {self.state}"
                self.now = max(self.now, due)
                self.take(on.DeadlineReached(self.now - 9.0, 1.0))
        raise AssertionError(f"it never comes to an end: {self.state}")

    def _answer(self) -> bool:
        turn, draft = self.state.turn, self.state.preparing
        if turn is not None and turn.overlap is Overlapping.JUDGING and self.question is not None:
            self.take(on.OverlapJudged(Overlap.NOTHING, self.question))
        elif self.state.finalizes_pending:
            self.take(on.FinalizeAnswered())
        elif draft is not None and not draft.is_ready:
            self.take(on.ReplyReady(draft.id))
        elif self.state.is_running and self.state.replying is not None and isinstance(self.state.phase, Silent):
            self.take(on.ReplyFinished(self.state.replying.id))
        else:
            return False
        return True


@settings(max_examples=300, deadline=None)
@given(JUMPS)
def test_whatever_happens_its_orders_fit_together_and_it_comes_to_an_end(jumps: list[tuple[float, Event]]) -> None:
    world = World()
    for seconds, event in jumps:
        world.now += seconds
        world.take(event)
    world.take(on.InputEnded(1.0))
    world.settle()
    assert not world.is_held, "the client was left with a lowered reply"


@settings(max_examples=200, deadline=None)
@given(JUMPS, st.floats(0.0, 1.0))
def test_before_its_deadline_time_alone_changes_nothing(jumps: list[tuple[float, Event]], share: float) -> None:
    world = World()
    for seconds, event in jumps:
        world.now += seconds
        world.take(event)
        due = next_deadline(world.state)
        # Audio that came long ago is what time alone cannot bring about in speech.
        if due is not None and due > world.now and isinstance(world.state.phase, Paused):
            at = world.now + share * (due - world.now) * 0.999
            state, commands = step(world.state, on.DeadlineReached(at, 1.0), at)
            assert commands == []
            phase = state.phase
            assert isinstance(phase, Paused)
            assert phase.pause.endable_at == world.state.phase.pause.endable_at
