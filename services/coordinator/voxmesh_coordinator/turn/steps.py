"""One step of the turn machine under way: the state and the commands grow into its result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from voxmesh_coordinator.turn.commands import Command
from voxmesh_coordinator.turn.state import Turn, TurnState


@dataclass(slots=True)
class Step:
    """At one moment; never kept."""

    state: TurnState
    now: float
    commands: list[Command] = field(default_factory=list[Command])

    @property
    def turn(self) -> Turn:
        """The turn in progress; only where there is one."""
        turn = self.state.turn
        if turn is None:
            raise AssertionError("no turn is in progress")
        return turn

    @property
    def is_audible(self) -> bool:
        """There is a reply that speech would be over."""
        return self.state.replying is not None and self.state.replying.is_audible(self.now)

    def set(self, **changes: Any) -> None:  # as replace
        """Change parts of the state."""
        self.state = replace(self.state, **changes)

    def update(self, turn: Turn) -> None:
        """The turn in progress changed."""
        self.set(phase=replace(self.state.phase, turn=turn))

    def do(self, *commands: Command) -> None:
        """This is to be done next."""
        self.commands += commands

    def new_id(self) -> int:
        """For a turn or reply."""
        new = self.state.next_id
        self.set(next_id=new + 1)
        return new
