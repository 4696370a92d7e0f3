"""What is measured: running services, and engines that the benchmark starts and stops itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeAlias

from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.slots import STT, Slot


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs already."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Startable:
    """An engine to be started in a process of its own; without a name, of a service that has none to choose."""

    name: str
    engine: str
    model: str | None
    python: Path
    """Interpreter whose environment holds the engine."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of its environment, besides the operator's."""


Target: TypeAlias = Running | Startable


def read_targets(
    targets: Sequence[str], engines: Sequence[str], pythons: Sequence[str], slot: Slot = STT
) -> list[Target]:
    """What `--target name=host:port`, `--engine NAME[=MODEL]` and `--python ENGINE=PATH` ask for, in order.

    Args:
        targets: services that run.
        engines: to be started, of the slot.
        pythons: interpreters of engines.
        slot: what is measured.

    Raises:
        BenchUsage: one of them is wrong, two have the same name, or there is none.
    """
    known = interpreters(pythons)
    found: list[Target] = [Running(*_pair(each, "--target", "NAME=HOST:PORT")) for each in targets]
    found += [startable(each, known, slot) for each in engines]
    if not found:
        raise BenchUsage("nothing to measure: give --engine NAME or --target NAME=HOST:PORT")
    names = [target.name for target in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BenchUsage(f"two targets are named {twice}")
    if unknown := known.keys() - {target.engine for target in found if isinstance(target, Startable)}:
        raise BenchUsage(f"--python names {', '.join(sorted(unknown))}, which no --engine does")
    return found


def interpreters(pythons: Sequence[str]) -> dict[str, Path]:
    """The interpreter by engine of `--python ENGINE=PATH`.

    Raises:
        BenchUsage: one of them is wrong.
    """
    return {name: Path(path) for name, path in (_pair(each, "--python", "ENGINE=PATH") for each in pythons)}


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name or not value:
        raise BenchUsage(f"{option} {text}: must be {form}")
    return name, value


def startable(text: str, known: Mapping[str, Path], slot: Slot, option: str = "--engine") -> Startable:
    """An engine of a slot, as NAME or NAME=MODEL; `option` is what names it.

    Raises:
        BenchUsage: it is neither, or no interpreter here has it.
    """
    engine, equals, model = text.partition("=")
    if not engine or (equals and not model):
        raise BenchUsage(f"{option} {text}: must be NAME or NAME=MODEL")
    return Startable(text, engine, model or None, known.get(engine) or _interpreter(engine, slot, option))


def _interpreter(engine: str, slot: Slot, option: str) -> Path:
    """This one if it has the engine, else that of `.venvs/<engine>` here or in a folder above."""
    installed = sorted(point.name for point in entry_points(group=f"voxmesh.{slot.name}.engines"))
    if engine in installed:
        return Path(sys.executable)
    here = Path.cwd()
    for folder in (here, *here.parents):
        python = folder / ".venvs" / engine / "bin" / "python"
        if python.is_file():
            return python
    raise BenchUsage(
        f"{option} {engine}: not installed here and no .venvs/{engine}; name its interpreter with "
        f"--python {engine}=PATH (installed here: {', '.join(installed) or 'none'})"
    )
