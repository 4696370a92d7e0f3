"""Options that several benchmarks share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EngineOption = Annotated[
    list[str] | None,
    typer.Option(help="Engine to start and stop, as NAME or NAME=MODEL; may be given several times."),
]
RunningOption = Annotated[
    list[str] | None,
    typer.Option(help="Service that runs, as NAME=HOST:PORT; may be given several times."),
]
PythonOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ENGINE=PATH",
        help="Interpreter that has an engine. [default: this one, else .venvs/ENGINE/bin/python here or above]",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for the report in Markdown and JSON, and the plot.")
]
LoadTimeoutOption = Annotated[float, typer.Option(min=1, help="Longest wait for an engine to load, in seconds.")]
StreamsOption = Annotated[str, typer.Option(help="Streams at once, separated by commas.")]
BaselineOption = Annotated[str | None, typer.Option(help="Target to compare with. [default: the first]")]
