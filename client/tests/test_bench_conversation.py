"""`voxmesh bench conversation` as a command: wrong usage, the list, and a short scenario on a real mesh."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from command_line import run

from voxmesh_client.cli.app import main

pytestmark = pytest.mark.mesh


def bench(*arguments: str) -> CompletedProcess[str]:
    return run(main, "bench", "conversation", *arguments)


def test_the_scenarios_are_listed_with_what_they_show() -> None:
    listed = bench("--list")
    assert listed.returncode == 0
    assert any(line.startswith("interruption ") for line in listed.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["--scenario", "none"], 2, "--scenario none: there is none; known: backchannel"),
        (["--sessions", "0"], 2, "--sessions 0: must be numbers from 1 to 100"),
        (["--scripts", "nowhere"], 2, "nowhere/sounds/sounds.toml: No such file"),
        (["--target", "127.0.0.1:1"], 1, "nothing answers at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_played_is_told_before_anything_starts(arguments: list[str], status: int, problem: str) -> None:
    refused = bench(*arguments)
    assert refused.returncode == status
    assert problem in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.timeout(300)
def test_a_scenario_is_played_in_two_sessions_on_a_real_mesh_and_written_down(tmp_path: Path) -> None:
    played = bench("--scenario", "follow_up", "--sessions", "2", "--allow", "2", "--json", "--out", str(tmp_path))
    assert played.returncode == 0, played.stderr
    report = json.loads(played.stdout)
    assert [play["scenario"] for play in report["plays"]] == ["follow_up", "follow_up"]
    answers = [answer for play in report["plays"] for answer in play["answers"]]
    assert answers, report["plays"]
    for answer in answers:
        assert answer["first_audio_s"] >= answer["turn_ended_s"] > 0
        if answer["wait_s"] is not None:
            assert answer["first_audio_s"] == pytest.approx(answer["wait_s"] + answer["beyond_s"])
    assert any("moonshine" in service for service in report["services"])
    assert report["machine"]["load_before"]
    assert json.loads((tmp_path / "conversation.json").read_text()) == report
    markdown = (tmp_path / "conversation.md").read_text()
    assert "| end of speech to first audio, p50 (ms) |" in markdown
    assert "Load average" in markdown
