"""Help, usage errors and failures of the command line, without any service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voxmesh_client.cli.app import app
from voxmesh_client.local.ports import owner
from voxmesh_runtime.ports import free_block

pytestmark = pytest.mark.unit

VOXMESH = str(Path(sys.executable).with_name("voxmesh"))
VERBS = (
    "up",
    "status",
    "models",
    "ask",
    "talk",
    "chat",
    "transcribe",
    "speak",
    "generate",
    "read",
    "embed",
    "rerank",
    "replay",
    "demo",
)


def voxmesh(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [VOXMESH, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
    )


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_has_examples_and_json(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    assert "Examples:" in done.stdout
    assert f"    voxmesh {verb}" in done.stdout
    assert "--json" in done.stdout


def test_help_lists_every_verb_and_how_to_start() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout
    assert all(f"  {verb} " in text for verb in VERBS)
    assert "voxmesh up" in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("listen",), "No such command"),
        (("ask",), "Missing argument"),
        (("up", "--only", "hearing"), "is no service"),
        (("status", "--only", "hearing"), "is no service"),
        (("status", "--base-port", "70000"), "--base-port"),
        (("transcribe", "x.wav", "--language", "hindi"), "'hindi' is no language tag; write one of BCP-47"),  # C16
        (("speak", "x", "--language", "xx-"), "'xx-' is no language tag"),
        (("talk", "--language", "C"), "'C' is no language tag"),
        (("bench", "stt", ".", "--language", "hindi"), "'hindi' is no language tag"),
    ],
)
def test_usage_errors_end_with_2(arguments: tuple[str, ...], complaint: str) -> None:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 2
    assert complaint in done.stderr


def test_a_wrong_variable_is_a_usage_error_that_names_it() -> None:
    done = voxmesh("status", VOXMESH_BASE_PORT="many")
    assert done.returncode == 2
    assert "base_port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_is_one_line_on_stderr_and_exit_code_1() -> None:
    done = voxmesh("generate", "hi", VOXMESH_BASE_PORT=str(free_block(7)), VOXMESH_CONNECT_TIMEOUT_S="0.3")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "start it with `voxmesh up" in done.stderr


def test_nobody_owns_a_free_port() -> None:
    assert owner(free_block(1)) is None
