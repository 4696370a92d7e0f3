"""`voxmesh demo`: the whole mesh started, asked, checked by ear, and stopped."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated

import typer

from voxmesh.stt.v1 import stt_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_client.asking import REPLY_HERTZ, ask
from voxmesh_client.cli.ask import show_listening, write_reply
from voxmesh_client.cli.console import Failed, JsonOption, err, out, print_json, require_place, run
from voxmesh_client.cli.show import print_turn, turn_dict
from voxmesh_client.cli.up_view import LineView, failure_lines
from voxmesh_client.local.process import State
from voxmesh_client.local.supervisor import Supervisor, Watched
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import SLOTS
from voxmesh_client.sound import file_chunks, pcm, sent_hertz, write_pcm
from voxmesh_client.turns import Turn
from voxmesh_runtime.audio import AudioFile
from voxmesh_runtime.ports import free_block

_GRACE_S = 5.0
_REFRESH_S = 0.5
_ALIKE = 0.6
"""Share of the reply's letters that its transcript must have in order."""


def demo(
    wav: Annotated[Path | None, typer.Argument(help="A spoken question; without one, the mesh speaks its own.")] = None,
    *,
    question: Annotated[str, typer.Option(help="What to ask when there is no file.")] = "What is the capital of Japan?",
    to: Annotated[Path, typer.Option("--out", help="Where the spoken reply goes.")] = Path("reply.wav"),
    json: JsonOption = False,
) -> None:
    """Start a mesh on free ports, ask it a spoken question, transcribe the reply back, stop it.

    Examples:
      voxmesh demo
      voxmesh demo question.wav --out reply.wav
    """
    require_place(to)
    turns, heard = run(_demo(wav, question, to, shown=not json))
    reply = " ".join(turn.reply.strip() for turn in turns)
    alike = likeness(reply, heard)
    if json:
        print_json({"turns": [turn_dict(turn) for turn in turns], "audio": str(to), "heard": heard, "likeness": alike})
    else:
        for turn in turns:
            print_turn(turn)
        out.print(f"{to} says: {heard}", markup=False)
    if alike < _ALIKE:
        raise Failed(f"the reply's audio does not say its text ({alike:.0%} alike); listen to {to}")
    if not json:
        out.print(f"the spoken reply says what was written ({alike:.0%} alike); all services are stopped")


async def _demo(wav: Path | None, question: str, to: Path, *, shown: bool) -> tuple[list[Turn], str]:
    """The turns and what recognition hears in their spoken reply."""
    if wav is not None:
        AudioFile(wav).close()  # what cannot be read is told before anything starts
    base_port = free_block(len(SLOTS))
    cleared = {f"{slot.name}_target": None for slot in SLOTS}
    settings = MeshSettings().model_copy(update={**cleared, "base_port": base_port})
    async with _local_mesh(settings), Mesh(settings) as mesh:
        with tempfile.TemporaryDirectory() as folder:
            path = wav or await _spoken(mesh, question, Path(folder) / "question.wav")
            err.print(f"asking in real time: {path.name}", style="dim", markup=False)
            with show_listening(shown=shown) as on_event:
                turns = await ask(mesh, path, on_event=on_event)
        _require_reply(turns, to)
        return turns, await _transcript(mesh, to)


def _require_reply(turns: list[Turn], to: Path) -> None:
    failure = next((turn.failure.message for turn in turns if turn.failure is not None), None)
    if failure is not None:
        raise Failed(f"a turn failed: {failure}")
    if not write_reply(to, turns):
        raise Failed("no reply was spoken; use a recording in which somebody asks something")


@asynccontextmanager
async def _local_mesh(settings: MeshSettings) -> AsyncGenerator[None]:
    """All services for the time of a block, with what they log while they load."""
    view = LineView(err)
    starting = True

    def changed(watched: Watched) -> None:
        if starting or watched.process.state in {State.RESTARTING, State.FAILED}:
            view.changed(watched)

    supervisor = Supervisor(settings, on_change=changed)
    supervisor.start()
    try:
        while not supervisor.all_serving:
            if supervisor.failed:
                raise Failed("\n".join(failure_lines(supervisor.failed[0])))
            view.refresh(supervisor.services.values())
            await asyncio.sleep(_REFRESH_S)
        yield
    finally:
        starting = False
        await supervisor.stop(_GRACE_S)


async def _spoken(mesh: Mesh, text: str, path: Path) -> Path:
    """A wav file that says the text."""

    async def pieces() -> AsyncIterator[str]:
        yield text

    config = tts_pb2.SynthesisConfig(audio_format=pcm(REPLY_HERTZ).to_proto())
    audio = [piece.data async for piece in mesh.text_to_speech.speak(pieces(), config)]
    write_pcm(path, audio, REPLY_HERTZ)
    return path


async def _transcript(mesh: Mesh, path: Path) -> str:
    with AudioFile(path) as file:
        config = stt_pb2.RecognitionConfig(audio_format=pcm(sent_hertz(file.sample_rate_hertz)).to_proto())
        results = mesh.speech_to_text.transcribe(file_chunks(file, 0.1), config)
        return " ".join([result.transcript async for result in results if result.is_final])


def likeness(left: str, right: str) -> float:
    """Share in [0, 1] of letters that two texts have in common, in order; case and punctuation do not count."""
    one, other = (re.sub(r"[\W_]+", "", text.lower()) for text in (left, right))
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
