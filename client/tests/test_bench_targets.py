"""Which targets the command line asks for, and its usage errors, without any service."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voxmesh_client.bench import extra
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.targets import Running, Startable, read_targets
from voxmesh_client.cli.app import app

pytestmark = pytest.mark.unit


def asked(*arguments: str) -> str:
    """The complaint about arguments."""
    done = CliRunner().invoke(app, ["bench", *arguments])
    assert isinstance(done.exception, BenchUsage)
    return str(done.exception)


def test_targets_in_their_order() -> None:
    here = Path(sys.executable)
    assert read_targets(["gpu=host:1"], ["moonshine", "moonshine=/a/model"], []) == [
        Running("gpu", "host:1"),
        Startable("moonshine", "moonshine", None, here),
        Startable("moonshine=/a/model", "moonshine", "/a/model", here),
    ]


def test_an_engine_that_is_not_here_runs_by_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / ".venvs/far_engine/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    assert read_targets([], ["far_engine"], []) == [Startable("far_engine", "far_engine", None, python)]


def test_an_interpreter_that_is_named_is_taken() -> None:
    (found,) = read_targets([], ["moonshine"], ["moonshine=/some/python"])
    assert found == Startable("moonshine", "moonshine", None, Path("/some/python"))


@pytest.mark.parametrize(
    ("targets", "engines", "pythons", "complaint"),
    [
        ([], [], [], "nothing to measure"),
        (["127.0.0.1:1"], [], [], "must be NAME=HOST:PORT"),
        ([], ["moonshine="], [], "must be NAME or NAME=MODEL"),
        ([], ["moonshine", "moonshine"], [], "two targets are named moonshine"),
        ([], ["moonshine"], ["moonshine"], "must be ENGINE=PATH"),
        ([], ["moonshine"], ["other=/x"], "--python names other"),
        ([], ["no_such_engine"], [], "--python no_such_engine=PATH (installed here: "),
    ],
)
def test_wrong_targets_are_named(targets: list[str], engines: list[str], pythons: list[str], complaint: str) -> None:
    with pytest.raises(BenchUsage) as caught:
        read_targets(targets, engines, pythons)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("verb", ["stt", "biasing", "tts", "vlm", "embed"])
def test_help_tells_exit_status_and_examples(verb: str) -> None:
    done = CliRunner().invoke(app, ["bench", verb, "--help"])
    assert done.exit_code == 0
    assert "Exit status with" in done.stdout
    assert f"    voxmesh bench {verb}" in done.stdout
    assert "--json" in done.stdout


def test_the_command_lists_bench() -> None:
    assert "  bench " in CliRunner().invoke(app, ["--help"]).stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("stt", "/no/corpus", "--engine", "moonshine"), "/no/corpus: neither a folder nor a manifest"),
        (("stt", "clips", "--engine", "moonshine", "--streams", "1,x"), "--streams 1,x: must be numbers"),
        (("stt", "clips", "--engine", "moonshine", "--streams", "0"), "--streams 0: must be numbers"),
        (("stt", "clips", "--engine", "moonshine", "--baseline", "x"), "--baseline x: is none of the targets"),
        (("stt", "clips", "--engine", "moonshine", "--gates", "seed"), "give a second --engine or --target"),
        (("tts", "--engine", "no_such"), "no .venvs/no_such"),
        (("tts", "none.toml", "--engine", "hibari"), "give a file or one of: de, en, es, fr, hi, kn, zh"),
        (("tts", "--engine", "hibari", "--streams", "x"), "--streams x: must be numbers"),
        (("tts", "--engine", "hibari", "--voice", "kokoro=af_sky"), "'kokoro' is none of the targets: hibari"),
        (("tts", "--engine", "hibari", "--recognizer", "no_such"), "--recognizer no_such: not installed here"),
        (("tts", "--engine", "hibari", "--python", "kokoro=/x"), "--python names kokoro"),
        (("embed", "--engine", "minilm", "--batch", "257"), "--batch 257: must be numbers from 1 to 256"),
        (("embed", "none", "--engine", "minilm"), "give a file or one of: en"),
        (("embed", "--engine", "minilm", "--gates", "tts"), "no metric 'real_time_factor'; known: texts_per_s"),
        (("vlm", "none", "--engine", "rapidocr"), "give a file or one of: seed"),
        (("vlm", "--engine", "minilm"), "--engine minilm: not installed here"),
        (("biasing", "none.toml", "--engine", "moonshine"), "none.toml: No such file or directory; give a file or one"),
        (("biasing", "--engine", "moonshine", "--expect", "poor=1"), "no context 'poor'; known: none, sparse"),
        (("biasing", "--engine", "moonshine", "--expect", "rich=2"), "must be CONTEXT=SHARE"),
        (("biasing", "--engine", "moonshine", "--expect", "rich=nan"), "must be CONTEXT=SHARE"),
    ],
)
def test_wrong_usage_is_told_before_anything_starts(arguments: tuple[str, ...], complaint: str) -> None:
    assert complaint in asked(*arguments)


def test_without_its_libraries_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> bool | None:
        return None if name == "jiwer" else True

    monkeypatch.setattr(extra, "find_spec", found)
    assert asked("stt", "clips") == "jiwer not installed; run: pip install 'voxmesh-client[bench]'"
