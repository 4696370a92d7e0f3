"""The turn machine judges seventy whole conversations as it always has."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import steps
from corpus.conversations import CONVERSATIONS

from voxmesh_coordinator.turn.events import DeadlineReached
from voxmesh_coordinator.turn.machine import next_deadline, step

pytestmark = pytest.mark.unit

KEPT = sorted(steps.FOLDER.glob("*.jsonl"))


def test_every_script_is_kept() -> None:
    assert {path.stem for path in KEPT} >= set(CONVERSATIONS)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_the_machine_orders_what_it_ordered(path: Path) -> None:
    state, taken = steps.read(path)
    for each in taken:
        due = next_deadline(state)
        if isinstance(each.event, DeadlineReached):
            assert due is not None
            assert due <= each.at < due + 0.001
        state, commands = step(state, each.event, each.at)
        assert steps.plain(tuple(commands)) == each.commands, f"after {each.event} at {each.at}"
