"""`voxmesh bench`: services compared on what they get right, waits and cost; the exit status is a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxmesh_client.bench.asked import BiasingAsked, Pace, SttAsked
from voxmesh_client.bench.extra import require_extra
from voxmesh_client.cli.bench_conversation import conversation
from voxmesh_client.cli.bench_embed import embed
from voxmesh_client.cli.bench_llm import llm
from voxmesh_client.cli.bench_options import (
    BaselineOption,
    EngineOption,
    LoadTimeoutOption,
    OutOption,
    PythonOption,
    RunningOption,
    StreamsOption,
)
from voxmesh_client.cli.bench_tts import tts
from voxmesh_client.cli.bench_vlm import vlm
from voxmesh_client.cli.console import JsonOption
from voxmesh_client.cli.examples import help_of
from voxmesh_client.cli.languages import language_option

LanguageOption = Annotated[str, language_option("clips that name none")]
DetectOption = Annotated[bool, typer.Option("--detect-language", help="Do not tell the service the language.")]

bench = typer.Typer(
    help="Measure services: what they get right, waits, cost and memory, with go/no-go gates.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def stt(
    corpus: Annotated[
        Path,
        typer.Argument(
            help="Folder of audio and texts (x.wav + x.txt, *.trans.txt, CMU Sphinx), or .jsonl, .csv, .tsv."
        ),
    ],
    *,
    engine: EngineOption = None,
    target: RunningOption = None,
    python: PythonOption = None,
    streams: StreamsOption = "1",
    pace: Annotated[Pace, typer.Option(help="Send audio as fast as it is taken, in real time, or both.")] = Pace.BOTH,
    language: LanguageOption = "en",
    detect_language: DetectOption = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Take this many clips from the start.")] = None,
    chunk: Annotated[float, typer.Option(min=0.01, max=0.5, help="Audio of a message, in seconds.")] = 0.1,
    baseline: BaselineOption = None,
    gates: Annotated[str | None, typer.Option(help="TOML file of go/no-go gates, or `seed`.")] = None,
    soak: Annotated[float | None, typer.Option(min=0.5, help="Then one stream of that many minutes.")] = None,
    load_timeout: LoadTimeoutOption = 600.0,
    to: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Compare recognisers on recorded speech with its words.

    Word and character error rate, real-time factor, waits for finals and interims, steadiness of
    interims, CPU and memory, at each number of streams. Servers of --engine are started alone, one
    after another, with the VOXMESH_* variables of this shell; CPU and memory are measured of these.

    Exit status with --gates: 0 go, 3 conditional, 1 no-go. Without: 1 when a target does not load,
    a clip fails, or an interim result changes text that was told to be stable. 2 is wrong usage.

    Examples:
      voxmesh bench stt clips/ --engine moonshine --streams 1,2,4 --out report
      voxmesh bench stt test.jsonl --engine moonshine --engine faster_whisper=large-v3 --gates seed
      voxmesh bench stt clips/ --target here=127.0.0.1:50052 --target there=gpu.example:50052
      voxmesh bench stt clips/ --engine moonshine --pace fast --soak 60
    """
    require_extra()
    from voxmesh_client.cli.bench_stt import bench_stt  # noqa: PLC0415 # its libraries are an extra

    bench_stt(
        SttAsked(
            corpus=corpus,
            engines=engine or (),
            targets=target or (),
            pythons=python or (),
            streams=streams,
            pace=pace,
            language=language,
            send_language=not detect_language,
            limit=limit,
            chunk_s=chunk,
            baseline=baseline,
            gates=gates,
            soak_minutes=soak,
            load_timeout_s=load_timeout,
            out=to,
            json=json,
        )
    )


def biasing(
    cases: Annotated[str, typer.Argument(help="TOML or JSON file of contexts and clips, or `seed`.")] = "seed",
    *,
    engine: EngineOption = None,
    target: RunningOption = None,
    python: PythonOption = None,
    detect_language: DetectOption = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONTEXT=SHARE",
            help="Least share of clips whose term must be heard in a context; may be given several times.",
        ),
    ] = None,
    load_timeout: LoadTimeoutOption = 600.0,
    to: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Show in which contexts a recogniser hears a term, and that other speech stays as it was.

    Each clip is heard in each context: none, sparse, rich, sentence, or what the file names. Clips
    should hold their term; control clips must be heard as without context. Beside it stands what
    the service told of the biasing: APPLIED, APPROXIMATED or IGNORED.

    Exit status with --expect: 0 when every target hears the shares, no control changes and no clip
    fails, else 1. Without: 1 when a target does not load or a clip fails. 2 is wrong usage.

    Examples:
      voxmesh bench biasing --engine moonshine
      voxmesh bench biasing my.toml --engine qwen_asr --expect rich=1 --expect sentence=1
      voxmesh bench biasing seed --target gpu=127.0.0.1:50052 --out report
    """
    require_extra()
    from voxmesh_client.cli.bench_biasing import bench_biasing  # noqa: PLC0415 # its libraries are an extra

    bench_biasing(
        BiasingAsked(
            cases=cases,
            engines=engine or (),
            targets=target or (),
            pythons=python or (),
            send_language=not detect_language,
            expect=expect or (),
            load_timeout_s=load_timeout,
            out=to,
            json=json,
        )
    )


for _verb in (stt, biasing, tts, vlm, llm, embed, conversation):
    bench.command(help=help_of(_verb))(_verb)
