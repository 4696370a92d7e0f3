"""The backends of all slots in variables or in one file, and what is told when it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import CliApp

from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_routing.settings import BackendSettings

pytestmark = pytest.mark.unit

NEMOTRON = {"target": "dns:///nemotron:50052", "languages": ["en"], "purposes": ["dictation"]}
WHISPER = {"target": "dns:///whisper:50052", "mixed_languages": True}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "backends.json"
    monkeypatch.setenv("VOXMESH_BACKENDS_FILE", str(path))
    return path


def test_backends_come_from_a_file_and_a_slot_that_it_leaves_out_from_where_it_would(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(json.dumps({"stt": [NEMOTRON, WHISPER]}))
    monkeypatch.setenv("VOXMESH_STT_TARGET", "a:1")
    monkeypatch.setenv("VOXMESH_TTS_TARGET", "b:1")
    monkeypatch.setenv("VOXMESH_LLM_BACKENDS", '[{"target": "c:1"}]')
    settings = CoordinatorSettings()
    first, second = settings.backends("stt")
    assert first == BackendSettings(target="dns:///nemotron:50052", languages=("en",), purposes=("dictation",))
    assert second == BackendSettings(target="dns:///whisper:50052", mixed_languages=True)
    assert [backend.target for slot in ("tts", "llm") for backend in settings.backends(slot)] == ["b:1", "c:1"]


def test_the_command_line_may_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    path.write_text(json.dumps({"vlm": [WHISPER]}))
    settings = CliApp.run(CoordinatorSettings, ["--backends-file", str(path)])
    assert settings.backends("vlm")[0].target == WHISPER["target"]


WRONG = {
    "a misspelt field": ({"stt": [NEMOTRON, {"target": "a:1", "language": ["en"]}]}, "stt.1.language: Extra"),
    "a slot that is none": ({"asr": [NEMOTRON]}, "asr: Extra"),
    "no target": ({"llm": [{}]}, "llm.0.target: Field required"),
    "an empty target": ({"llm": [{"target": ""}]}, "llm.0.target: String"),
    "a word for a list": ({"tts": [{"target": "a:1", "languages": "en"}]}, "tts.0.languages: "),
    "no language (C16)": (
        {"stt": [{"target": "a:1", "languages": ["hindi"]}]},
        "stt.0.languages.0: Value error, 'hindi'",
    ),
    "a slot without any": ({"turn": []}, "turn: "),
    "no table": ([NEMOTRON], "file: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_a_file_is_told_by_file_and_field(name: str, file: Path) -> None:
    content, complaint = WRONG[name]
    file.write_text(json.dumps(content))
    with pytest.raises(ValidationError) as error:
        CoordinatorSettings()
    assert f"{file}: {complaint}" in str(error.value)


def test_a_file_that_is_not_json_or_not_there_is_told(file: Path) -> None:
    with pytest.raises(ValidationError, match=r"backends\.json cannot be read: No such file"):
        CoordinatorSettings()
    file.write_text('{"stt": [')
    with pytest.raises(ValidationError, match=r"backends\.json: file: Invalid JSON"):
        CoordinatorSettings()


def test_a_slot_that_is_set_twice_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(json.dumps({"stt": [NEMOTRON], "llm": [WHISPER]}))
    monkeypatch.setenv("VOXMESH_LLM_BACKENDS", '[{"target": "c:1"}]')
    with pytest.raises(ValidationError, match=r"backends\.json: llm: .*VOXMESH_LLM_BACKENDS.* remove one"):
        CoordinatorSettings()


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("VOXMESH_BACKENDS_FILE", "none.json", "cannot start: none.json cannot be read: No such file or directory"),
        ("VOXMESH_STT_BACKENDS", "a:1", 'cannot start: error parsing value for field "stt_backends"'),
    ],
)
def test_an_operator_gets_one_line(
    variable: str, value: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    command = [sys.executable, "-m", "voxmesh_coordinator"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(told)


FIRST, SECOND = BackendSettings(target="127.0.0.1:1", languages=("en",)), BackendSettings(target="127.0.0.1:3")


def test_a_single_target_is_a_list_of_one() -> None:
    settings = CoordinatorSettings(stt_target="a:1", tts_backends=(FIRST, SECOND))
    assert settings.backends("stt") == (BackendSettings(target="a:1"),)
    assert settings.backends("tts") == (FIRST, SECOND)


def test_backends_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_STT_BACKENDS", '[{"target": "a:1", "languages": ["kn"]}, {"target": "b:1"}]')
    backends = CoordinatorSettings().backends("stt")
    assert [backend.target for backend in backends] == ["a:1", "b:1"]
    assert backends[0].languages == ("kn",)
