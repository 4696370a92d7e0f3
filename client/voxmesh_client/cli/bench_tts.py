"""`voxmesh bench tts`: voices compared on waits, speed, and whether a recogniser understands them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxmesh_client.bench.asked import TtsAsked
from voxmesh_client.bench.extra import require_extra
from voxmesh_client.cli.bench_options import (
    BaselineOption,
    EngineOption,
    LoadTimeoutOption,
    OutOption,
    PythonOption,
    RunningOption,
    StreamsOption,
)
from voxmesh_client.cli.bench_view import ProgressView, finish, logs_folder
from voxmesh_client.cli.console import JsonOption, run


def tts(
    texts: Annotated[str, typer.Argument(help="TOML file of texts, or a language that ships: de, en, ...")] = "en",
    *,
    engine: EngineOption = None,
    target: RunningOption = None,
    python: PythonOption = None,
    streams: StreamsOption = "1",
    voice: Annotated[
        list[str] | None,
        typer.Option(metavar="[TARGET=]VOICE", help="Voice, of one target or all. [default: the engine's]"),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.25, max=4.0, help="Speed; 1 is normal.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take this many texts, spread over the file.")] = None,
    recognizer: Annotated[
        str,
        typer.Option(
            metavar="ENGINE[=MODEL]|HOST:PORT|none",
            help="Who tells what was understood. [default: the mesh's stt service if it runs, else moonshine]",
        ),
    ] = "",
    baseline: BaselineOption = None,
    gates: Annotated[str | None, typer.Option(help="TOML file of go/no-go gates, or `tts`.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder for the audio of the first pass, as wav files.")] = None,
    load_timeout: LoadTimeoutOption = 600.0,
    to: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Compare voices on the same texts.

    Time to the first audio and to the first sound, stalls, real-time factor, CPU and memory at each
    number of streams; word and character error rate of a recogniser that hears what was spoken;
    audio that is clipped, silent, truncated or too long; where words lie, by both, if both tell.
    Servers of --engine are started alone, one after another, with the VOXMESH_* variables of this shell.

    Exit status with --gates: 0 go, 3 conditional, 1 no-go. Without: 1 when a target does not load, a
    text fails, or something is wrong with its audio. 2 is wrong usage.

    Examples:
      voxmesh bench tts --engine hibari --streams 1,2,4 --out report
      voxmesh bench tts --engine hibari --engine kokoro --baseline hibari --gates tts
      voxmesh bench tts hi --target here=127.0.0.1:50053 --recognizer gpu.example:50052
      voxmesh bench tts --engine kokoro --voice bf_emma --recognizer faster_whisper --keep heard
    """
    require_extra()
    asked = TtsAsked(
        texts=texts,
        engines=engine or (),
        targets=target or (),
        pythons=python or (),
        streams=streams,
        voices=voice or (),
        rate=rate,
        limit=limit,
        recognizer=recognizer,
        baseline=baseline,
        gates=gates,
        keep=keep,
        load_timeout_s=load_timeout,
        out=to,
        json=json,
    )
    from voxmesh_client.bench.voices.command import bench_tts  # noqa: PLC0415 # its libraries are an extra

    report, status = run(bench_tts(asked, logs_folder(asked), ProgressView(shown=not json)))
    finish(report, asked, status)
