"""`voxmesh bench llm` with the default model: a llama.cpp and a proxy that it starts, asks and stops."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from voxmesh_client.bench.asked import LlmAsked
from voxmesh_client.bench.minds.command import bench_llm
from voxmesh_client.cli.bench_view import ProgressView

pytestmark = pytest.mark.mesh

QUESTION = {"task": "sky", "prompt": "Is the sky blue?", "max_tokens": 16, "fields": {"yes": ["True", "False"]}}
SCHEMA = '{"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}'


@contextmanager
def no_server_stays() -> Generator[None]:
    """Whatever a block starts has ended with it."""
    before = set(psutil.Process(os.getpid()).children(recursive=True))
    yield
    left = set(psutil.Process(os.getpid()).children(recursive=True)) - before
    assert not [each for each in left if "voxmesh_llm_proxy" in " ".join(each.cmdline())]


async def test_the_default_model_is_asked_through_its_proxy_and_directly(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps({"tasks": [{**QUESTION, "schema": SCHEMA}]}))
    asked = LlmAsked(
        tasks=str(tasks),
        engines=(),
        targets=(),
        pythons=(),
        upstreams=(),
        models=(),
        streams="2",
        rounds=1,
        max_tokens=3,
        thinking="off",
        thoughts=0,
        timeout_s=60.0,
        baseline=None,
        gates=None,
        load_timeout_s=60.0,
        out=None,
        json=True,
    )
    with no_server_stays():
        report, status = await bench_llm(asked, tmp_path, ProgressView(shown=False))
    assert status == 0, report.wrong
    (target,) = report.data["targets"]
    (speed,) = target["passes"]
    assert speed["first_token_p50_s"] > 0
    assert speed["direct_first_token_p50_s"] > 0
    assert (speed["failures"], speed["overhead_p50_s"] is None) == (0, False)
    (answer,) = target["answers"]
    # What so small a model thinks of the sky is its own affair.
    assert answer["answer"].lstrip().startswith("{")
    assert (answer["failure"], target["empty"], target["tasks_failed"]) == ("", 0, 0)
