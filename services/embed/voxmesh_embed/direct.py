"""The model without its service, for `voxmesh bench embed` to compare the two: `python -m voxmesh_embed.direct`.

Takes a service's options and variables. Prints a line of JSON once the model is loaded, and one for each line that it
reads: `{"texts": [...], "at_once": 8}` is answered by `{"seconds": ..., "cpu_seconds": ...}`. It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from pydantic_settings import CliApp

from voxmesh_embed.engine import Text
from voxmesh_embed.settings import EmbedSettings
from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.engines import candidates, load_first


class _Embeds(Protocol):
    """What is needed of an engine."""

    def embed(self, texts: Sequence[Text]) -> Sequence[object]: ...

    def close(self) -> None: ...


@one_line_errors()
def main() -> None:
    """Load the engine and embed what is asked for, one thing after another."""
    answers = _answers_only()
    settings = CliApp.run(EmbedSettings)
    engine: _Embeds = load_first(candidates("embed", settings)).engine
    _print(answers, loaded=True)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        texts, at_once = [Text(text) for text in asked["texts"]], int(asked["at_once"])
        began, worked = time.perf_counter(), time.process_time()
        for begin in range(0, len(texts), at_once):
            engine.embed(texts[begin : begin + at_once])
        _print(answers, seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - worked)
    engine.close()


def _answers_only() -> TextIO:
    """Standard output for answers alone; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _print(answers: TextIO, **fields: Any) -> None:
    answers.write(json.dumps(fields) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
