"""The turn machine's steps as JSON: one line each, with the event, the time and the commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from voxmesh_coordinator.settings import UNFINISHED_ENDINGS
from voxmesh_coordinator.turn import events
from voxmesh_coordinator.turn.commands import Command, JudgeOverlap
from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_coordinator.turn.events import Event
from voxmesh_coordinator.turn.overlap import Overlap
from voxmesh_coordinator.turn.state import TurnState

FOLDER = Path(__file__).parent / "steps"
LEFT_OUT = {"timing", "result", "sent_ns", "failure", "unfinished"}
"""Fields that go past the machine, and the operator's list of words, which is the default one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a conversation."""

    at: float
    event: Event
    commands: Sequence[dict[str, Any]]


def plain(each: object) -> Any:
    """An event, command or state as JSON holds it, without what is as by default."""
    match each:
        case Enum():
            return each.value
        case bytes():
            return each.decode()
        case tuple() | frozenset():
            return [plain(part) for part in each]
        case _ if is_dataclass(each):
            named = {"is": type(each).__name__} if isinstance(each, Event | Command) else {}
            kept = [field for field in fields(each) if field.name not in LEFT_OUT]
            values = {field.name: getattr(each, field.name) for field in kept}
            return named | {
                field.name: plain(values[field.name])
                for field in kept
                if field.default is MISSING or values[field.name] != field.default
            }
        case _:
            return each


def write(name: str, state: TurnState, steps: Iterable[tuple[float, Event, Sequence[Command]]]) -> None:
    """Keep one conversation, from the state that it began with."""
    lines = [plain(state)]
    lines += [{"at": at, "event": plain(event), "commands": plain(tuple(done))} for at, event, done in steps]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (FOLDER / f"{name}.jsonl").write_text(text)


def read(path: Path) -> tuple[TurnState, Iterator[Step]]:
    """One conversation, as it was kept."""
    first, *lines = (json.loads(line) for line in path.read_text().splitlines())
    waits = Endpointing(**first.pop("endpointing"), unfinished=frozenset(UNFINISHED_ENDINGS))
    steps = (Step(line["at"], _event(**line["event"]), line["commands"]) for line in lines)
    return TurnState(waits, **first), steps


def _event(**values: Any) -> Event:
    kind: type[Any] = getattr(events, values.pop("is"))
    if "image" in values:
        values["image"] = values["image"].encode()
    if "question" in values:
        values |= {"kind": Overlap(values["kind"]), "question": _question(**values["question"])}
    if "failure" in {field.name for field in fields(kind)}:
        values["failure"] = None
    made: Event = kind(**values)
    return made


def _question(**values: Any) -> JudgeOverlap:
    return JudgeOverlap(**{name: value for name, value in values.items() if name != "is"})
