"""`voxmesh up`: run the services of a mesh on this machine."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from voxmesh_client.cli.console import BasePortOption, Failed, JsonOption, err, out, print_json, run, settings_of
from voxmesh_client.cli.up_view import JsonView, LineView, TableView, UpView
from voxmesh_client.local.supervisor import Supervisor, Watched
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import BY_NAME, SLOTS, Slot

_REFRESH_S = 0.5


def up(
    *,
    only: Annotated[
        str | None, typer.Option(help="Services to start, separated by commas: " + ",".join(BY_NAME))
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Print one line when all serve; failures go to stderr.")] = False,
    grace: Annotated[float, typer.Option(min=0, help="On stop, seconds to wait before a service is killed.")] = 10.0,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Start all services here and keep them running until Ctrl-C.

    The first start fetches the default models, about 100 MB, once.

    Examples:
      voxmesh up
      voxmesh up --only stt,tts --base-port 51000
      voxmesh up --wait > mesh.log &
    """
    settings = settings_of(base_port)
    slots = chosen_slots(only)
    if not run(_up(settings, slots, _view(settings, wait=wait, json=json), grace, told=wait, json=json)):
        raise Failed(f"not every service could be started; the logs are in {settings.logs_dir()}")


def chosen_slots(only: str | None) -> Sequence[Slot]:
    """The slots that a comma-separated list names; all when there is none."""
    names = [name.strip() for name in only.split(",")] if only is not None else list(BY_NAME)
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no service; known: {', '.join(BY_NAME)}", param_hint="--only")
    return [slot for slot in SLOTS if slot.name in names]


def _view(settings: MeshSettings, *, wait: bool, json: bool) -> UpView:
    if json:
        return JsonView()
    if wait:
        return LineView(err, only_failures=True)
    if out.is_terminal:
        return TableView(out, f"voxmesh on this machine; logs in {settings.logs_dir()}")
    return LineView(out)


async def _up(
    settings: MeshSettings, slots: Sequence[Slot], view: UpView, grace_s: float, *, told: bool, json: bool
) -> bool:
    """Run until a signal; false when services failed and nothing more can come of it."""
    supervisor = Supervisor(settings, slots, view.changed)
    stopping = _stop_on_signals(supervisor)
    started: float | None = time.monotonic()
    supervisor.start()
    with view:
        try:
            while not stopping.is_set() and not _hopeless(supervisor, need_all=told):
                view.refresh(supervisor.services.values())
                if supervisor.all_serving and started is not None:
                    _tell_serving(supervisor, time.monotonic() - started, told=told, json=json)
                    started = None
                await _passed(stopping, _REFRESH_S)
            failed = _hopeless(supervisor, need_all=told)
        finally:
            await _stop(supervisor, view, grace_s)
    return not failed


async def _stop(supervisor: Supervisor, view: UpView, grace_s: float) -> None:
    """Stop all services and show how that goes."""
    stop = asyncio.create_task(supervisor.stop(grace_s))
    while not stop.done():
        view.refresh(supervisor.services.values())
        await asyncio.wait({stop}, timeout=_REFRESH_S)
    view.refresh(supervisor.services.values())
    stop.result()


def _hopeless(supervisor: Supervisor, *, need_all: bool) -> bool:
    failed = supervisor.failed
    return bool(failed) and (need_all or len(failed) == len(supervisor.services))


def _tell_serving(supervisor: Supervisor, seconds: float, *, told: bool, json: bool) -> None:
    ports = {name_of(watched): watched.process.launch.port for watched in supervisor.services.values()}
    if json:
        print_json({"state": "all serving", "seconds": round(seconds, 1), "ports": ports})
    elif told or not out.is_terminal:
        listed = ", ".join(f"{name} {port}" for name, port in ports.items())
        out.print(f"all services serve after {seconds:.1f} s: {listed}", markup=False)


def name_of(watched: Watched) -> str:
    """Short name of a watched service."""
    return watched.process.launch.slot.name


async def _passed(stopping: asyncio.Event, seconds: float) -> None:
    """Wait for a while, or less when it is time to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


def _stop_on_signals(supervisor: Supervisor) -> asyncio.Event:
    """Set at the first signal; the second one kills all at once."""
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            supervisor.kill()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    return stopping
