"""The command line: one command a benchmark, all of them by default."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Annotated

import psutil
import typer
import uvloop
from rich.console import Console

from benchmarks.apart import Recall, measure_apart
from benchmarks.echo import measure_echo
from benchmarks.endings import measure_endings
from benchmarks.machine import Machine
from benchmarks.memory import measure_memory
from benchmarks.mesh import SPOKEN, LocalMesh, MeshNotStarted, running_mesh
from benchmarks.relay import measure_relay
from benchmarks.result import Result
from benchmarks.soak import measure_soak
from benchmarks.store_race import measure_store_race
from benchmarks.turn import measure_turns
from benchmarks.wer import measure_wer
from benchmarks.wer_clips import LIBRIVOX, NoClips, read_clips
from voxmesh_client.slots import STT, Slot
from voxmesh_runtime.audio import AudioFileError

_WIDTH = 120

Measure = Callable[[LocalMesh], Awaitable[Result]]

JsonOption = Annotated[Path | None, typer.Option("--json", help="Write all figures to a file.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="A few seconds a benchmark: shows that it runs, no more.")]
FolderOption = Annotated[Path, typer.Option(help="Audio files with .txt beside them, or a Sphinx `transcription`.")]

app = typer.Typer(
    help="Measure the mesh: ratios within one run, medians with their quartiles, both sides interleaved.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Run every benchmark; the exit status is 1 when something leaks."""
    if context.invoked_subcommand is None:
        everything()


@app.command("all")
def everything(*, quick: QuickOption = False, folder: FolderOption = LIBRIVOX, json: JsonOption = None) -> None:
    """Run every benchmark on one mesh: memory, relay, turn, soak, wer."""
    measures: list[Measure] = [_memory(2), _relay(16, 1.0, 1), _turns((), 1, 0), _soak(2, 0.5)]
    if not quick:
        measures = [_memory(50), _relay(16, 4.0, 7), _turns((), 20, 2), _soak(100, 0.25)]
    try:
        clips = read_clips(folder)
    except NoClips as missing:
        typer.echo(f"wer is left out: {missing}", err=True)
    else:
        measures.append(lambda mesh: measure_wer(mesh, clips))
    _run(measures, json)


@app.command()
def turn(
    wavs: Annotated[list[Path] | None, typer.Argument(help="Spoken questions; without any, the demo's.")] = None,
    *,
    turns: Annotated[int, typer.Option(min=1, help="Turns each way.")] = 20,
    warm_up: Annotated[int, typer.Option(min=0, help="Turns each way before those that count.")] = 2,
    json: JsonOption = None,
) -> None:
    """Time a spoken turn through the mesh and with the same models in one process."""
    _run([_turns(wavs or (), turns, warm_up)], json)


@app.command()
def relay(
    *,
    streams: Annotated[int, typer.Option(min=1, max=60, help="Streams at once.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.5, help="Audio of each stream in a trial.")] = 4.0,
    trials: Annotated[int, typer.Option(min=1, help="Trials of each server.")] = 7,
    json: JsonOption = None,
) -> None:
    """Weigh a server's CPU for one 20 ms frame against a bare grpc.aio echo."""
    _run([_relay(streams, seconds, trials)], json)


@app.command()
def memory(
    *,
    streams: Annotated[int, typer.Option(min=1, max=60, help="Idle conversations.")] = 50,
    json: JsonOption = None,
) -> None:
    """Weigh every idle service, and what an idle conversation adds."""
    _run([_memory(streams)], json)


@app.command()
def soak(
    *,
    turns: Annotated[int, typer.Option(min=2, help="Half in one session, half each in its own.")] = 100,
    spoken: Annotated[float, typer.Option(min=0, max=1, help="Share of turns that are spoken.")] = 0.25,
    json: JsonOption = None,
) -> None:
    """Hold many turns and look for what they leave behind; the exit status is 1 when something leaks."""
    _run([_soak(turns, spoken)], json)


@app.command()
def apart(
    *,
    turns: Annotated[int, typer.Option(min=2, help="Of all sessions together.")] = 200,
    sessions: Annotated[int, typer.Option(min=2, max=4, help="Sessions at once.")] = 2,
    json: JsonOption = None,
) -> None:
    """Speak in several sessions at once; the exit status is 1 when anything of one is found in another."""
    recall = Recall()
    _run([lambda mesh: measure_apart(mesh, recall, turns=turns, sessions=sessions)], json, upstream=recall.serving())


@app.command()
def echo(*, seed: Annotated[int, typer.Option(help="Of the scenes.")] = 5) -> None:
    """Judge echoes of replies and persons who interrupt, by words alone and by sound too; needs espeak-ng."""
    for table in measure_echo(seed).tables:
        table.print(_console())


@app.command()
def endings(*, quick: QuickOption = False) -> None:
    """Judge whether spoken turns are over, by sound, by words and by both; needs espeak-ng."""
    for table in measure_endings(quick=quick).tables:
        table.print(_console())


@app.command("store-race")
def store_race(*, rounds: Annotated[int, typer.Option(min=1, help="New files.")] = 200) -> None:
    """Open new session stores in two processes at once; the exit status is 1 when one of them fails."""
    result = measure_store_race(rounds)
    for table in result.tables:
        table.print(_console())
    _exit_with(result.problems)


@app.command()
def wer(*, folder: FolderOption = LIBRIVOX, json: JsonOption = None) -> None:
    """Compare word error rates through the mesh and with the engine called directly."""
    clips = read_clips(folder)
    _run([lambda mesh: measure_wer(mesh, clips)], json, slots=(STT,))


def _turns(wavs: Sequence[Path], turns: int, warm_up: int) -> Measure:
    return lambda mesh: measure_turns(mesh, wavs, turns=turns, warm_up=warm_up)


def _relay(streams: int, seconds: float, trials: int) -> Measure:
    return lambda mesh: measure_relay(mesh, streams=streams, seconds=seconds, trials=trials)


def _memory(streams: int) -> Measure:
    return lambda mesh: measure_memory(mesh, streams=streams)


def _soak(turns: int, spoken: float) -> Measure:
    return lambda mesh: measure_soak(mesh, turns=turns, spoken_share=spoken)


def _run(
    measures: Sequence[Measure],
    to: Path | None,
    slots: Sequence[Slot] = SPOKEN,
    upstream: AbstractAsyncContextManager[str] | None = None,
) -> None:
    """Run benchmarks one after another on one mesh, print each table at once, and exit with 1 if one has problems."""
    machine = Machine.now()
    console = _console()
    for line in machine.lines():
        console.print(line, markup=False)
    results, problems = uvloop.run(_measured(measures, slots, console, upstream))
    if to is not None:
        figures = {result.name: result.figures for result in results}
        text = json.dumps({"machine": machine.to_json(), "problems": problems, **figures}, indent=1)
        to.write_text(text + "\n")
    _exit_with(problems)


def _exit_with(problems: Sequence[str]) -> None:
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, width=None if Console().is_terminal else _WIDTH)


async def _measured(
    measures: Sequence[Measure],
    slots: Sequence[Slot],
    console: Console,
    upstream: AbstractAsyncContextManager[str] | None,
) -> tuple[list[Result], list[str]]:
    results: list[Result] = []
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(upstream) if upstream is not None else None
        mesh = await stack.enter_async_context(running_mesh(slots, {"VOXMESH_UPSTREAM_URL": url} if url else None))
        processes = mesh.processes()
        for measure in measures:
            results.append(await measure(mesh))
            for table in results[-1].tables:
                table.print(console)
    left = [name for name, process in processes.items() if _is_left(process)]
    problems = [problem for result in results for problem in result.problems]
    return results, problems + [f"{name}: its process outlives the mesh" for name in left]


def _is_left(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def main() -> None:
    """Run the command line; what a person can mend is told in one line."""
    try:
        app()
    except (MeshNotStarted, NoClips, AudioFileError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
