"""`voxmesh bench llm`: first tokens and speed of language models, what the proxy costs, and eight tasks."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from voxmesh_client.bench.asked import LlmAsked
from voxmesh_client.bench.extra import require_extra
from voxmesh_client.cli.bench_options import (
    BaselineOption,
    LoadTimeoutOption,
    OutOption,
    RunningOption,
    StreamsOption,
)
from voxmesh_client.cli.bench_view import ProgressView, finish, logs_folder
from voxmesh_client.cli.console import JsonOption, run


class Thinking(enum.Enum):
    """How the tasks are asked."""

    OFF = "off"
    ON = "on"
    BOTH = "both"
    NONE = "none"


def llm(
    tasks: Annotated[str, typer.Argument(help="TOML file of tasks, or `seed`.")] = "seed",
    *,
    upstream: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=URL", help="OpenAI-compatible server, asked directly and by a proxy."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SOURCE", help="GGUF model for a llama.cpp server that is started."),
    ] = None,
    target: RunningOption = None,
    streams: StreamsOption = "1,2,4",
    rounds: Annotated[int, typer.Option(min=1, help="Times each number of streams is measured.")] = 20,
    max_tokens: Annotated[int, typer.Option(min=2, help="Longest answer where speed is measured.")] = 32,
    thinking: Annotated[
        Thinking, typer.Option(help="Ask the tasks with thinking off, on, both, or not.")
    ] = Thinking.BOTH,
    thoughts: Annotated[int, typer.Option(min=0, help="Tokens that thoughts may take of an answer.")] = 1024,
    timeout: Annotated[float, typer.Option(min=1, help="Longest time of an answer to a task, in seconds.")] = 120.0,
    baseline: BaselineOption = None,
    gates: Annotated[str | None, typer.Option(help="TOML file of go/no-go gates, or `llm`.")] = None,
    load_timeout: LoadTimeoutOption = 600.0,
    to: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Compare language models, and the proxy with its upstream called directly.

    First token and tokens a second at each number of streams, through the proxy and directly in turn;
    then eight tasks of an assistant, two questions each, without thinking and with it: score, time, and
    what came to nothing. Without a target the default model is measured, by a llama.cpp of its own. A
    key for --upstream is taken from VOXMESH_UPSTREAM_API_KEY, its kind from VOXMESH_UPSTREAM_SHAPE.

    Exit status with --gates: 0 go, 3 conditional, 1 no-go. Without: 1 when a target does not load or an
    answer fails where speed is measured. 2 is wrong usage.

    Examples:
      voxmesh bench llm --gates llm
      voxmesh bench llm --upstream titan=http://titan:8002/v1 --streams 1,8 --out report
      voxmesh bench llm my.toml --target mesh=127.0.0.1:50054 --thinking off
    """
    require_extra()
    asked = LlmAsked(
        tasks=tasks,
        engines=(),
        targets=target or (),
        pythons=(),
        upstreams=upstream or (),
        models=model or (),
        streams=streams,
        rounds=rounds,
        max_tokens=max_tokens,
        thinking=thinking.value,
        thoughts=thoughts,
        timeout_s=timeout,
        baseline=baseline,
        gates=gates,
        load_timeout_s=load_timeout,
        out=to,
        json=json,
    )
    from voxmesh_client.bench.minds.command import bench_llm  # noqa: PLC0415 # its libraries are an extra

    report, status = run(bench_llm(asked, logs_folder(asked), ProgressView(shown=not json)))
    finish(report, asked, status)
