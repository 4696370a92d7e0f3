"""`voxmesh bench conversation`: the scoreboard of a mesh in scripted conversations."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from voxmesh_client.bench.conversations.local_mesh import TALKING, local_mesh
from voxmesh_client.bench.conversations.report import Run, head, to_dict, write_report
from voxmesh_client.bench.conversations.runner import Plan, run_plan
from voxmesh_client.bench.conversations.scoreboard import slips, tables
from voxmesh_client.bench.conversations.script import SHIPPED, Scenario, read_scenarios
from voxmesh_client.bench.conversations.sounds import LIST, read_sounds
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.plan import counts
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.cli.bench_view import ProgressView
from voxmesh_client.cli.console import JsonOption, err, out, print_json, run
from voxmesh_client.errors import nothing_answers
from voxmesh_client.health import Health, check_health
from voxmesh_client.local.process import State
from voxmesh_client.local.supervisor import Watched
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR

_MAX_SESSIONS = 100


class Compare(enum.Enum):
    """What two conditions of a run differ in."""

    SPECULATION = "speculation"


def conversation(
    *,
    target: Annotated[
        str | None, typer.Option(help="Coordinator as host:port. [default: a mesh is started here and stopped]")
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Play this one; may be given several times. [default: all]")
    ] = None,
    scripts: Annotated[
        Path | None,
        typer.Option(help=f"Folder of scenarios (*.toml) with its sounds in sounds/{LIST}. [default: those shipped]"),
    ] = None,
    sessions: Annotated[str, typer.Option(help="Sessions at once, separated by commas.")] = "1",
    compare: Annotated[Compare | None, typer.Option(help="Play everything with and without it, taking turns.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Times each scenario is played under each condition.")] = 1,
    allow: Annotated[int, typer.Option(min=0, help="Plays with a fault that are put up with.")] = 0,
    to: Annotated[Path | None, typer.Option("--out", help="Folder for the report in Markdown and JSON.")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="List the scenarios and play none.")] = False,
    json: JsonOption = False,
) -> None:
    """Play scripted conversations in real time and print how human the mesh is in them.

    Waits from the true end of speech, time to yield to an interruption, cut-offs, false and missed
    interruptions, unanswered and extra turns, and work thrown away, all from the client's side, for one
    and for several sessions at once. A mesh that is started has the VOXMESH_* variables of this shell.

    Exit status 1 when more than --allow plays went otherwise than their script expects; 2 is wrong usage.

    Examples:
      voxmesh bench conversation --compare speculation --sessions 1,4 --out report
      voxmesh bench conversation --target 127.0.0.1:50050 --scenario interruption --repeat 10
      voxmesh bench conversation --list
    """
    folder = scripts or SHIPPED
    sounds = read_sounds(SHIPPED.with_name("sounds") if scripts is None else scripts / "sounds")
    scenarios = _chosen(read_scenarios(folder, sounds), scenario or ())
    if only_list:
        _list(scenarios, json=json)
        return
    speculation = (None,) if compare is None else (True, False)
    plan = Plan(scenarios, sounds, counts("--sessions", sessions, _MAX_SESSIONS), speculation, repeat)
    found = run(_measured(plan, target, ProgressView(shown=not json)))
    written = [] if to is None else write_report(to, found)
    if json:
        print_json(to_dict(found))
    else:
        _print(found, written)
    if sum(not play.is_passed for play in found.plays) > allow:
        raise typer.Exit(1)


def _chosen(scenarios: Sequence[Scenario], names: Sequence[str]) -> list[Scenario]:
    known = {scenario.name: scenario for scenario in scenarios}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BenchUsage(f"--scenario {unknown[0]}: there is none; known: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names or known)]


def _list(scenarios: Sequence[Scenario], *, json: bool) -> None:
    if json:
        print_json({"scenarios": [{"name": each.name, "about": each.about} for each in scenarios]})
        return
    width = max(len(each.name) for each in scenarios)
    for each in scenarios:
        out.print(f"{each.name.ljust(width)}  {each.about}", markup=False)


async def _measured(plan: Plan, target: str | None, view: ProgressView) -> Run:
    load_before = load()
    async with _where(target) as settings, Mesh(settings) as mesh:
        plays = await run_plan(mesh, plan, view.step)
    told = target or "started here for this run"
    return Run(Machine.now(load_before), told, plan.conditions, plays)


@asynccontextmanager
async def _where(target: str | None) -> AsyncGenerator[MeshSettings]:
    """Where the coordinator is that was asked for, or that is started for the time of a block."""
    if target is None:
        async with local_mesh(TALKING, _tell_failure) as settings:
            yield settings
        return
    if await check_health(target) is not Health.SERVING:
        raise nothing_answers(COORDINATOR.name, target)
    yield MeshSettings().with_target(COORDINATOR, target)


def _tell_failure(watched: Watched) -> None:
    if watched.process.state in {State.RESTARTING, State.FAILED}:
        err.print(f"{watched.process.launch.slot.name}: {watched.process.state.value}", style="yellow", markup=False)


def _print(found: Run, written: Sequence[Path]) -> None:
    for line in head(found):
        out.print(line, markup=False)
    for table in tables(found.plays, found.conditions):
        out.print()
        out.print(table.rich())
    for line in slips(found.plays):
        err.print(line, markup=False, style="red")
    if written:
        out.print(f"written: {', '.join(map(str, written))}", markup=False)
