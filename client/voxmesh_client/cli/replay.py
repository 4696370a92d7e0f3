"""`voxmesh replay`: a recorded conversation, held again with the mesh of today."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from voxmesh_client.cli.console import (
    BasePortOption,
    JsonOption,
    TargetOption,
    err,
    out,
    print_json,
    run,
    settings_of,
)
from voxmesh_client.cli.show import print_replaced
from voxmesh_client.mesh import Mesh
from voxmesh_client.recording import NoRecording, Recording, read_recording
from voxmesh_client.replay import Replayed
from voxmesh_client.replay import replay as replay_recording
from voxmesh_client.replay_changes import TOLERANCE_S, Change, compare, other_services
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR
from voxmesh_client.sound import write_pcm

DIFFERENT = 1
_STYLES = {"": "", "-": "red", "+": "green"}


def replay(
    folder: Annotated[Path, typer.Argument(help="Folder of one recording.")],
    *,
    to: Annotated[Path | None, typer.Option("--out", help="Write changes.json and reply.wav to this folder.")] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Ends of turns so many seconds apart are alike.")
    ] = TOLERANCE_S,
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Hold a recorded conversation again, in its own time; print what changed, turn by turn.

    Ends with 0 when words and decisions are alike, and with 1 when they are not.

    Examples:
      voxmesh replay recordings/20260131T120000Z-5f0c
      voxmesh replay recordings/20260131T120000Z-5f0c --json | jq .changes[].decisions
      voxmesh replay recordings/20260131T120000Z-5f0c --target 127.0.0.1:50050 --out again
    """
    try:
        recording = read_recording(folder)
    except NoRecording as problem:
        raise typer.BadParameter(str(problem), param_hint="FOLDER") from None
    _warn(recording)
    replayed = run(_replay(settings_of(base_port, COORDINATOR, target), recording))
    changes = compare(recording.moments, replayed.moments, tolerance)
    told = _to_dict(folder, recording, replayed, changes)
    if to is not None:
        _write(to, told, recording, replayed)
    if json:
        print_json(told)
    else:
        _print(recording, replayed, changes)
    if not told["is_alike"]:
        raise typer.Exit(DIFFERENT)


async def _replay(settings: MeshSettings, recording: Recording) -> Replayed:
    async with Mesh(settings) as mesh:
        with err.status("replaying"):
            return await replay_recording(mesh, recording, print_replaced)


def _warn(recording: Recording) -> None:
    if not recording.is_complete:
        why = recording.truncated or "its coordinator did not end it"
        err.print(f"voxmesh: the recording is not complete: {why}", style="yellow", markup=False)
    if images := len(recording.requests("image")):
        err.print(f"voxmesh: pictures shown ({images}) were not recorded; their turns may differ", style="yellow")


def _print(recording: Recording, replayed: Replayed, changes: list[Change]) -> None:
    for slot, (then, now) in other_services(recording.services, replayed.services).items():
        out.print(f"{slot}: {then} -> {now}", markup=False)
    for index, change in enumerate(changes):
        out.print(Text(f"turn {index}: {'alike' if change.is_alike else 'differs'}", "bold"))
        out.print(Text.assemble("  you:     ", *_words(change)))
        for decision in change.decisions:
            out.print(f"  decided: {decision}", markup=False)
        then, now = change.recorded, change.replayed
        if then is not None and now is not None and then.reply != now.reply:
            out.print(f"  reply:   {_on_one_line(then.reply)} -> {_on_one_line(now.reply)}", markup=False)
        if latency := _latency(change):
            out.print(f"  latency: {latency}", markup=False)
    if not changes:
        out.print("no turn ended, neither then nor now")


def _words(change: Change) -> list[tuple[str, str]]:
    return [(f"{word.change}{word.text}{word.change} ", _STYLES[word.change]) for word in change.words]


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _latency(change: Change) -> str:
    then = change.recorded.latency_s if change.recorded else None
    now = change.replayed.latency_s if change.replayed else None
    if then is None or now is None:
        return ""
    return f"{then * 1000:.0f} ms -> {now * 1000:.0f} ms ({(now - then) * 1000:+.0f} ms)"


def _to_dict(folder: Path, recording: Recording, replayed: Replayed, changes: list[Change]) -> dict[str, Any]:
    services = other_services(recording.services, replayed.services)
    return {
        "folder": str(folder),
        "is_alike": all(change.is_alike for change in changes),
        "is_complete": recording.is_complete,
        "services": {slot: {"recorded": then, "replayed": now} for slot, (then, now) in services.items()},
        "changes": [_change_dict(index, change) for index, change in enumerate(changes)],
    }


def _change_dict(index: int, change: Change) -> dict[str, Any]:
    return {
        "turn_index": index,
        "is_alike": change.is_alike,
        "words": [f"{word.change}{word.text}" for word in change.words if word.change],
        "decisions": change.decisions,
        "recorded": None if change.recorded is None else asdict(change.recorded),
        "replayed": None if change.replayed is None else asdict(change.replayed),
    }


def _write(folder: Path, told: dict[str, Any], recording: Recording, replayed: Replayed) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json_text.dumps(told, ensure_ascii=False, indent=2)
    changes = folder / "changes.json"
    # As private as the recording whose words it repeats.
    changes.touch(mode=0o600)
    changes.write_text(text + "\n", encoding="utf-8")
    pieces = [piece for turn in replayed.log.turns for piece in turn.audio]
    if pieces:
        write_pcm(folder / "reply.wav", pieces, recording.config.reply_audio_format.sample_rate_hertz)
