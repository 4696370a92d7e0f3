"""`voxmesh status` and `voxmesh models`: what runs, and what it can do."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1.conversation_pb2 import SlotStatus
from voxmesh_client.cli.console import BasePortOption, JsonOption, out, print_json, run, settings_of, to_dict
from voxmesh_client.health import Health
from voxmesh_client.inspection import ServiceReport, inspect
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import BY_NAME, COORDINATOR, SLOTS, Slot

_SLOT_STYLES = {"serving": "green", "degraded": "yellow"}
_STYLES = {Health.SERVING: "green", Health.NOT_SERVING: "yellow", Health.DOWN: "red"}


def status(
    *,
    only: Annotated[str | None, typer.Option(help="Services to ask, separated by commas.")] = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Show health, model, streams and host of every service, and how the coordinator finds those behind it.

    Exit code 1 when a service that was asked is not serving, or the coordinator finds a slot down: one without any
    backend that is well. A slot that is degraded still works.

    Examples:
      voxmesh status
      voxmesh status --only stt,tts
      voxmesh status --json | jq .health
    """
    names = BY_NAME if only is None else only.split(",")
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no service; known: {', '.join(BY_NAME)}", param_hint="--only")
    reports = run(_inspect(settings_of(base_port), [BY_NAME[name] for name in names]))
    if json:
        for report in reports:
            print_json(_status_dict(report))
    else:
        out.print(_status_table(reports))
        for report in reports:
            if report.slots:
                out.print(_slots_table(report.slots))
        for line in _choices(reports):
            out.print(line, style="yellow", markup=False)
    if not all(_is_well(report) for report in reports):
        raise typer.Exit(1)


def models(*, base_port: BasePortOption = None, json: JsonOption = False) -> None:
    """Show what each service has loaded, its languages, voices and abilities, and which engines are installed.

    Examples:
      voxmesh models
      voxmesh models --json | jq .installed_engines
    """
    slots = [slot for slot in SLOTS if slot is not COORDINATOR]
    reports = run(_inspect(settings_of(base_port), slots))
    for report in reports:
        if json:
            print_json(_models_dict(report))
        else:
            _print_model(report)


async def _inspect(settings: MeshSettings, slots: list[Slot]) -> list[ServiceReport]:
    async with Mesh(settings) as mesh:
        return await inspect(mesh, slots)


def _is_well(report: ServiceReport) -> bool:
    return report.health is Health.SERVING and all(slot.state != SlotStatus.STATE_DOWN for slot in report.slots)


def _status_dict(report: ServiceReport) -> dict[str, Any]:
    plain: dict[str, Any] = {"service": report.slot.name, "target": report.target, "health": report.health.value}
    if report.slots:
        plain["slots"] = [{**to_dict(slot), "state": _state(slot)} for slot in report.slots]
    return plain if report.model is None else {**plain, **to_dict(report.model)}


def _status_table(reports: list[ServiceReport]) -> Table:
    grid = Table(box=SIMPLE)
    for heading in ("service", "health", "target", "model", "engine", "device", "memory", "streams", "host"):
        grid.add_column(heading, justify="right" if heading in {"memory", "streams"} else "left")
    for report in reports:
        model = report.model
        told = ("", "", "", "", "", "")
        if model is not None:
            streams = f"{model.active_streams}/{model.max_streams}"
            engine = f"{model.engine} {model.engine_version}"
            told = (model.model, engine, model.device, _memory(model), streams, model.host)
        health = f"[{_STYLES[report.health]}]{report.health.value}[/]"
        grid.add_row(report.slot.name, health, escape(report.target), *(escape(text) for text in told))
    return grid


def _slots_table(slots: Sequence[SlotStatus]) -> Table:
    grid = Table(box=SIMPLE)
    for heading in ("the coordinator's", "state", "backends", "what does not work"):
        grid.add_column(heading)
    for slot in slots:
        state, well = _state(slot), sum(backend.is_well for backend in slot.backends)
        style = _SLOT_STYLES.get(state, "red")
        grid.add_row(slot.slot, f"[{style}]{state}[/]", f"{well} of {len(slot.backends)}", escape(slot.reason))
    return grid


def _state(slot: SlotStatus) -> str:
    """A slot's state in a word, such as serving."""
    return SlotStatus.State.Name(slot.state).removeprefix("STATE_").lower()


def _memory(model: common_pb2.ModelInfo) -> str:
    """Memory of the process, and of the accelerator where it is told, in MiB."""
    told = [f"{model.resident_memory_bytes >> 20} MiB"] if model.resident_memory_bytes else []
    if model.HasField("accelerator_memory_bytes"):
        told.append(f"GPU {model.accelerator_memory_bytes >> 20} MiB")
    return ", ".join(told)


def _choices(reports: list[ServiceReport]) -> list[str]:
    """Why a service does not run what its operator wanted first."""
    lines: list[str] = []
    for report in reports:
        model = report.model
        if model is not None and model.engine_reason:
            lines.append(f"{report.slot.name} serves {model.engine}, not the first choice: {model.engine_reason}")
        if model is not None and model.device_reason:
            lines.append(f"{report.slot.name} runs on {model.device}: {model.device_reason}")
    return lines


def installed_engines(slot: Slot) -> list[str]:
    """Names of the engines that are installed here for a slot."""
    return sorted(point.name for point in entry_points(group=f"voxmesh.{slot.name}.engines"))


def _models_dict(report: ServiceReport) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "service": report.slot.name,
        "target": report.target,
        "health": report.health.value,
        "installed_engines": installed_engines(report.slot),
    }
    return plain if report.info is None else {**plain, **to_dict(report.info)}


def _print_model(report: ServiceReport) -> None:
    out.print(f"[bold]{report.slot.name}[/] at {escape(report.target)}: {report.health.value}")
    told = _models_dict(report)
    model: dict[str, Any] = told.pop("model_info", {})
    for name in ("service", "target", "health"):
        del told[name]
    for name, value in {**model, **told}.items():
        if text := _text(value):
            out.print(f"  {name.replace('_', ' ')}: {text}", markup=False)


def _text(value: Any) -> str:
    """A field for a person; empty when it says nothing."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_text(each) for each in value)  # pyright: ignore[reportUnknownVariableType] # JSON
        case dict():
            return " ".join(_text(each) for each in value.values())  # pyright: ignore[reportUnknownVariableType] # JSON
        case _:
            return str(value)
