"""`voxmesh trace`: where the time of turns went, on which host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer

from voxmesh.conversation.v1.conversation_pb2 import ListTurnReportsRequest, ReportedTurn
from voxmesh_client.cli.console import (
    BasePortOption,
    Failed,
    JsonOption,
    TargetOption,
    out,
    print_json,
    require_place,
    run,
    settings_of,
)
from voxmesh_client.cli.show import print_report
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR
from voxmesh_client.trace import MAX_TURNS, NoReports, read_reports
from voxmesh_client.trace_page import page

LastOption = Annotated[int | None, typer.Option(min=1, max=MAX_TURNS, help="The newest so many. [default: 1]")]


def trace(
    trace_id: Annotated[str, typer.Argument(help="Trace id of a turn, or its first letters. [default: newest]")] = "",
    *,
    session: Annotated[str, typer.Option(help="Turns of this session only.")] = "",
    last: LastOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with every new turn, until Ctrl-C.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page that needs nothing else.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="Read reports that --json wrote.")] = None,
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Draw where the time of a turn went: network there and back, queue and compute of every hop, on one clock.

    Examples:
      voxmesh trace
      voxmesh trace --follow
      voxmesh trace --last 20 --html turns.html
      voxmesh trace --last 20 --json > turns.json && voxmesh trace --from turns.json
    """
    if follow and (html is not None or source is not None):
        raise typer.BadParameter("goes on for ever; it cannot be used with --html or --from", param_hint="--follow")
    require_place(html)
    request = ListTurnReportsRequest(trace_id=trace_id.lower(), session_id=session, limit=last or 1)
    settings = settings_of(base_port, COORDINATOR, target)
    show = print_json if json else _print
    if follow:
        run(_follow(settings, request, show))
        return
    turns = run(_list(settings, request)) if source is None else _read(source, request, count=last)
    if not turns:
        raise Failed(_nothing(request))
    if html is not None:
        html.write_text(page(turns), encoding="utf-8")
        if not json:
            out.print(f"{'1 turn is' if len(turns) == 1 else f'{len(turns)} turns are'} in {html}", markup=False)
    if html is None or json:
        for turn in turns:
            show(turn)


def _print(turn: ReportedTurn) -> None:
    out.print(f"trace {turn.report.trace_id}  session {turn.session_id}", style="dim", markup=False)
    print_report(turn.report)


async def _list(settings: MeshSettings, request: ListTurnReportsRequest) -> list[ReportedTurn]:
    async with Mesh(settings) as mesh:
        return await mesh.traces.list(request)


async def _follow(
    settings: MeshSettings, request: ListTurnReportsRequest, show: Callable[[ReportedTurn], None]
) -> None:
    async with Mesh(settings) as mesh, aclosing(mesh.traces.follow(request)) as turns:
        async for turn in turns:
            show(turn)


def _read(source: Path, request: ListTurnReportsRequest, *, count: int | None) -> Sequence[ReportedTurn]:
    """The turns of a file that are asked for; all of them unless a number is."""
    try:
        turns = read_reports(source)
    except NoReports as problem:
        raise Failed(str(problem)) from None
    found = [
        turn
        for turn in turns
        if turn.report.trace_id.startswith(request.trace_id) and request.session_id in {"", turn.session_id}
    ]
    return found[-count:] if count is not None else found


def _nothing(request: ListTurnReportsRequest) -> str:
    if request.trace_id or request.session_id:
        return "no such turn is held; a coordinator keeps the newest (turn_reports_kept), and none of before its start"
    return "no turn has ended yet; hold one with: voxmesh ask question.wav"
