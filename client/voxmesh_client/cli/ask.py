"""`voxmesh ask`: one spoken question from a file, with its answer and its latency."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.asking import REPLY_HERTZ
from voxmesh_client.asking import ask as ask_mesh
from voxmesh_client.cli.console import (
    BasePortOption,
    Failed,
    JsonOption,
    PurposeOption,
    TargetOption,
    err,
    out,
    print_json,
    require_place,
    run,
    settings_of,
)
from voxmesh_client.cli.show import asked_of, options_dict, print_ignored, print_replaced, print_turn, turn_dict
from voxmesh_client.events import Event
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR
from voxmesh_client.sound import write_pcm
from voxmesh_client.turns import Turn


def ask(
    file: Annotated[Path, typer.Argument(help="Audio file with a spoken question: wav, flac, ogg or mp3.")],
    *,
    to: Annotated[Path | None, typer.Option("--out", help="Write the spoken reply to this wav file.")] = None,
    purpose: PurposeOption = "",
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a spoken question in real time; print transcript, reply, and where each millisecond went.

    Examples:
      voxmesh speak "What is the capital of Japan?" --out question.wav
      voxmesh ask question.wav --out reply.wav
      voxmesh ask question.wav --json | jq .turns[0].report.explained_share
    """
    require_place(to)
    turns, session = run(_ask(settings_of(base_port, COORDINATOR, target), file, purpose, shown=not json))
    if not turns:
        raise Failed(f"{file}: no speech was heard; use a recording in which somebody speaks")
    written = to if to is not None and write_reply(to, turns) else None
    if json:
        told = {"turns": [turn_dict(turn) for turn in turns], "audio": None if written is None else str(written)}
        print_json({**told, **options_dict(*asked_of(session))})
    else:
        for turn in turns:
            print_turn(turn)
        if written is not None:
            out.print(f"the reply is in {written}", markup=False)
    if any(turn.failure is not None for turn in turns):
        raise typer.Exit(1)


def write_reply(path: Path, turns: list[Turn]) -> bool:
    """Write the audio of all replies to a wav file; false when there is none."""
    pieces = [piece for turn in turns for piece in turn.audio]
    return bool(pieces) and write_pcm(path, pieces, REPLY_HERTZ) > 0


async def _ask(
    settings: MeshSettings, path: Path, purpose: str, *, shown: bool
) -> tuple[list[Turn], conversation_pb2.SessionStarted]:
    session = conversation_pb2.SessionStarted()

    def on_session(given: conversation_pb2.SessionStarted) -> None:
        session.CopyFrom(given)
        print_ignored(given)

    async with Mesh(settings) as mesh:
        with show_listening(shown=shown) as on_event:
            return await ask_mesh(mesh, path, purpose=purpose, on_event=on_event, on_session=on_session), session


@contextmanager
def show_listening(*, shown: bool) -> Generator[Callable[[Event], None]]:
    """Give a function that shows what is heard so far, on a terminal alone."""
    if not shown or not err.is_terminal:
        yield print_replaced
        return
    with err.status("listening") as status:

        def show(event: Event) -> None:
            if isinstance(event, stt_pb2.RecognitionResult):
                status.update(Text(event.transcript or "listening"))
            print_replaced(event)

        yield show
