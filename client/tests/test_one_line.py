"""C11 and what else goes wrong before a service answers: one line that says what to do, never a traceback."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from voxmesh.common.v1.common_pb2 import OptionOutcome, Ready
from voxmesh.conversation.v1.conversation_pb2 import SessionStarted
from voxmesh_client.cli.app import main
from voxmesh_client.cli.console import Failed, input_text, require_place
from voxmesh_client.cli.show import asked_of, options_dict, print_options
from voxmesh_runtime.audio import write_wav
from voxmesh_runtime.ports import free_block

pytestmark = pytest.mark.server

VOXMESH = str(Path(sys.executable).with_name("voxmesh"))
LATIN = "café\n".encode("latin-1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of all kinds, in the current folder, and a mesh that does not run but is waited for."""
    write_wav(tmp_path / "speech.wav", np.zeros(800, np.float32), 16000)
    soundfile.write(tmp_path / "nan.wav", np.full(800, np.nan, np.float32), 16000, subtype="FLOAT")
    (tmp_path / "notes.wav").write_text("these are notes")
    (tmp_path / "empty.png").touch()
    (tmp_path / "deep.json").write_text("[" * 100_000)
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXMESH_BASE_PORT", str(free_block(7)))
    monkeypatch.setenv("VOXMESH_CONNECT_TIMEOUT_S", "100")
    return tmp_path


def told(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[str, int]:
    """What a command line says on stderr, and its exit code."""
    monkeypatch.setattr(sys, "argv", ["voxmesh", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err, int(ended.value.code or 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "speech.wav"],
        ["talk"],
        ["chat"],
        ["transcribe", "speech.wav"],
        ["speak", "hello"],
        ["speak", "hello", "--out", "x.wav"],
        ["generate", "hello"],
        ["read", "picture.png"],
        ["embed", "a", "b"],
        ["rerank", "a", "b"],
        ["trace"],
        ["trace", "--follow"],
        ["bench", "conversation", "--target", "127.0.0.1:1"],
    ],
    ids=" ".join,
)
@pytest.mark.timeout(60)
def test_every_verb_says_that_nothing_runs_without_waiting_for_it(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    line, code = told(arguments, monkeypatch, capsys)
    assert code == 1
    assert re.search(r": nothing answers at 127\.0\.0\.1:\d+: start it with `voxmesh up( --base-port \d+)?`$", line)
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(["transcribe", "nan.wav", "--out"], "No such option", id="usage"),
        pytest.param(["ask", "nope.wav"], "nope.wav: no such file; check the path", id="C11-missing"),
        pytest.param(["ask", "notes.wav"], "ffmpeg -i notes.wav notes-new.wav", id="C11-text"),
        pytest.param(["demo", "notes.wav"], "ffmpeg -i notes.wav notes-new.wav", id="C11-demo"),
        pytest.param(["transcribe", "."], ".: is a folder; name a file", id="C11-folder"),
        pytest.param(["read", "nope.png"], "nope.png: no such file; check the path", id="picture-missing"),
        pytest.param(["read", "."], ".: is a folder; name a file", id="picture-folder"),
        pytest.param(["read", "empty.png"], "empty.png: is empty; name another file", id="picture-empty"),
        pytest.param(["speak", "a", "--out", "no/x.wav"], "no/x.wav: there is no folder no; make it", id="out"),
        pytest.param(["ask", "speech.wav", "--out", "no/x.wav"], "there is no folder no; make it", id="ask-out"),
        pytest.param(["demo", "--out", "no/x.wav"], "there is no folder no; make it", id="demo-out"),
        pytest.param(["trace", "--html", "."], ".: is a folder; name a file", id="html"),
        pytest.param(["trace", "--from", "speech.wav"], "write it with: voxmesh trace --json", id="trace-wav"),
        pytest.param(["trace", "--from", "deep.json"], "write it with: voxmesh trace --json", id="trace-deep"),
        pytest.param(["trace", "--from", "nope.json"], "nope.json: no such file; check the path", id="trace-missing"),
        pytest.param(["replay", "nope"], "nope: no recording of a conversation", id="replay"),
        pytest.param(["generate", "caf\udce9"], "bytes that are no UTF-8", id="C11-argument"),
        pytest.param(["generate", "a", "--seed", "9" * 30], "--seed", id="seed"),
        pytest.param(["generate", "a", "--max-tokens", "9" * 30], "--max-tokens", id="tokens"),
        pytest.param(["embed", "a", "--dimensions", "9" * 30], "--dimensions", id="dimensions"),
        pytest.param(["embed", "a", "--encoding", "int4"], "--encoding", id="encoding"),
        pytest.param(["rerank", "a", "b", "--top", "0"], "--top", id="top"),
    ],
)
def test_what_cannot_be_done_is_told(
    arguments: list[str], line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    said, code = told(arguments, monkeypatch, capsys)
    assert code in {1, 2}
    assert line in said


@pytest.mark.parametrize("arguments", [["generate", "-"], ["embed", "-"], ["rerank", "a", "-"]], ids=" ".join)
def test_c11_bytes_on_standard_input_that_are_no_text_are_told(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"first\n" + LATIN), "utf-8"))
    line, code = told(arguments, monkeypatch, capsys)
    assert (code, line.count("\n")) == (1, 1)
    assert "standard input is no UTF-8 text (byte 0xe9); convert it" in line


@pytest.mark.parametrize("errors", ["surrogateescape", "strict"])
def test_c11_a_locale_that_would_let_such_bytes_through_is_no_excuse(
    errors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LATIN), "utf-8", errors=errors))
    with pytest.raises(Failed, match="is no UTF-8 text"):
        input_text()


def test_c11_a_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Failed, match="there is no standard input; give the text as an argument"):
        input_text()


@pytest.mark.parametrize("arguments", [["embed", "-"], ["rerank", "a", "-"]], ids=" ".join)
def test_no_text_to_embed_is_told(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert told(arguments, monkeypatch, capsys) == (
        "voxmesh: no text came on standard input; write one a line\n",
        1,
    )


@pytest.mark.parametrize(
    ("end", "said"),
    [
        pytest.param("| head -c 1", "", id="C11-broken-pipe"),
        pytest.param(">&-", "", id="C11-closed"),
        pytest.param("> /dev/full", "no space is left", id="C11-full"),
    ],
)
def test_c11_an_output_that_takes_nothing_ends_the_verb_quietly(end: str, said: str) -> None:
    line = f'"{VOXMESH}" models {end}'
    environment = {**os.environ, "VOXMESH_BASE_PORT": str(free_block(7))}
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert said in done.stderr
    assert done.stderr.count("\n") == bool(said)


def test_c11_a_file_name_that_is_no_text_can_be_told(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/te\xe9.wav"
    done = subprocess.run([VOXMESH, "transcribe", path], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(b"te\\udce9.wav: no such file; check the path\n")


def test_a_place_that_can_be_written_is_taken(tmp_path: Path) -> None:
    require_place(None)
    require_place(tmp_path / "new.wav")
    (tmp_path / "old.wav").touch()
    require_place(tmp_path / "old.wav")


READY = Ready(
    engine="moonshine",
    options=[
        OptionOutcome(field="config.language_codes", outcome=OptionOutcome.OUTCOME_APPLIED),
        OptionOutcome(
            field="config.biasing.phrases", outcome=OptionOutcome.OUTCOME_IGNORED, detail="it has no biasing"
        ),
        OptionOutcome(field="config.speaking_rate", outcome=OptionOutcome.OUTCOME_APPROXIMATED, detail="to 1.5"),
    ],
)


def test_options_that_were_not_done_as_asked_are_told_in_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    print_options(READY)
    assert capsys.readouterr().err.splitlines() == [
        "voxmesh: moonshine ignores config.biasing.phrases: it has no biasing",
        "voxmesh: moonshine approximates config.speaking_rate: to 1.5",
    ]


def test_options_that_were_not_done_as_asked_are_in_the_json() -> None:
    options = options_dict(READY)["options"]
    assert [(option["field"], option["outcome"]) for option in options] == [
        ("config.biasing.phrases", "OUTCOME_IGNORED"),
        ("config.speaking_rate", "OUTCOME_APPROXIMATED"),
    ]
    assert options_dict(Ready()) == {}


def test_of_a_conversation_only_what_its_client_has_set_is_told() -> None:
    def ready(engine: str, field: str) -> Ready:
        return Ready(engine=engine, options=[OptionOutcome(field=field, outcome=OptionOutcome.OUTCOME_IGNORED)])

    services = [
        ready("silero", "config.min_silence_duration"),
        ready("moonshine", "config.language_codes"),
        ready("hibari", "config.word_time_offsets"),
        ready("coordinator", "config.record"),
    ]
    options = options_dict(*asked_of(SessionStarted(services=services)))["options"]
    assert [option["field"] for option in options] == ["config.language_codes", "config.record"]
