"""`voxmesh bench embed`: embeddings compared on throughput, latency, and whether texts find their answers."""

from __future__ import annotations

from typing import Annotated

import typer

from voxmesh_client.bench.asked import EmbedAsked
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


def embed(
    pairs: Annotated[str, typer.Argument(help="TOML file of queries with their documents, or `en`.")] = "en",
    *,
    engine: EngineOption = None,
    target: RunningOption = None,
    python: PythonOption = None,
    streams: StreamsOption = "1,8,32",
    batch: Annotated[str, typer.Option(help="Texts of a message, separated by commas.")] = "1",
    rounds: Annotated[int, typer.Option(min=1, help="Times each load is measured.")] = 5,
    texts: Annotated[int, typer.Option(min=1, help="Least texts of a round.")] = 256,
    direct: Annotated[
        bool, typer.Option("--direct/--no-direct", help="Load each --engine a second time, without its service.")
    ] = True,
    baseline: BaselineOption = None,
    gates: Annotated[str | None, typer.Option(help="TOML file of go/no-go gates, or `embed`.")] = None,
    load_timeout: LoadTimeoutOption = 600.0,
    to: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Compare embeddings on the same texts.

    Texts and tokens a second and latency at each number of streams and size of batch, beside the
    model of the same engine called directly, which takes its memory twice (--no-direct leaves it
    out); whether a text alone has the vector that it has among others; whether queries find their
    documents, by floats and by the shorter encodings.

    Exit status with --gates: 0 go, 3 conditional, 1 no-go. Without: 1 when a target does not load or a
    stream fails. 2 is wrong usage.

    Examples:
      voxmesh bench embed --engine minilm --streams 1,8,32 --out report
      voxmesh bench embed --engine minilm --engine qwen_embedding --batch 1,16 --gates embed
      voxmesh bench embed my_pairs.toml --target here=127.0.0.1:50056
    """
    require_extra()
    asked = EmbedAsked(
        pairs=pairs,
        engines=engine or (),
        targets=target or (),
        pythons=python or (),
        streams=streams,
        batch=batch,
        rounds=rounds,
        least_texts=texts,
        direct=direct,
        baseline=baseline,
        gates=gates,
        load_timeout_s=load_timeout,
        out=to,
        json=json,
    )
    from voxmesh_client.bench.vectors.command import bench_embed  # noqa: PLC0415 # its libraries are an extra

    report, status = run(bench_embed(asked, logs_folder(asked), ProgressView(shown=not json)))
    finish(report, asked, status)
