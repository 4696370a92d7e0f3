"""`voxmesh bench vlm`: what engines that look at pictures get right, and how long they take."""

from __future__ import annotations

from typing import Annotated

import typer

from voxmesh_client.bench.asked import VlmAsked
from voxmesh_client.bench.extra import require_extra
from voxmesh_client.cli.bench_options import (
    BaselineOption,
    EngineOption,
    LoadTimeoutOption,
    OutOption,
    PythonOption,
    RunningOption,
)
from voxmesh_client.cli.bench_view import ProgressView, finish, logs_folder
from voxmesh_client.cli.console import JsonOption, run


def vlm(
    cases: Annotated[str, typer.Argument(help="TOML file of pictures and questions, or `seed`.")] = "seed",
    *,
    engine: EngineOption = None,
    target: RunningOption = None,
    python: PythonOption = None,
    repeat: Annotated[int, typer.Option(min=1, help="Times each question is asked.")] = 1,
    baseline: BaselineOption = None,
    gates: Annotated[str | None, typer.Option(help="TOML file of go/no-go gates, or `vlm`.")] = None,
    load_timeout: LoadTimeoutOption = 600.0,
    to: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Show engines the same pictures, in one table: right or wrong and why, and how long it took.

    The five questions that ship: a scanned page read, the same page as data by a schema, a web page
    described, Kannada, and Kannada with English. An engine that only reads text is not asked the others.

    Exit status with --gates: 0 go, 3 conditional, 1 no-go. Without: 1 when a target does not load or an
    answer fails; a wrong answer or a refusal is none of these. 2 is wrong usage.

    Examples:
      voxmesh bench vlm --engine rapidocr
      voxmesh bench vlm --engine rapidocr --engine tesseract --engine qwen_vl --out report --gates vlm
      voxmesh bench vlm my.toml --target gpu=gpu.example:50055 --repeat 3
    """
    require_extra()
    asked = VlmAsked(
        cases=cases,
        engines=engine or (),
        targets=target or (),
        pythons=python or (),
        repeat=repeat,
        baseline=baseline,
        gates=gates,
        load_timeout_s=load_timeout,
        out=to,
        json=json,
    )
    from voxmesh_client.bench.pictures.command import bench_vlm  # noqa: PLC0415 # its libraries are an extra

    report, status = run(bench_vlm(asked, logs_folder(asked), ProgressView(shown=not json)))
    finish(report, asked, status)
