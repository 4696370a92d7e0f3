"""`voxmesh bench` against real servers that it starts, finds or loses, on two clips of real speech."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psutil
import pytest
from command_line import run

from voxmesh_client.bench import measuring
from voxmesh_client.bench.corpus import Corpus, read_corpus
from voxmesh_client.bench.listening import Heard, Manner
from voxmesh_client.bench.measuring import measure
from voxmesh_client.bench.server import Limits, serving
from voxmesh_client.bench.targets import read_targets
from voxmesh_client.cli.app import main

pytestmark = pytest.mark.mesh

VOXMESH = str(Path(sys.executable).with_name("voxmesh"))
SPEECH = Path(__file__).parents[2] / "services/stt/engines/moonshine/tests/data"
SAID = {
    "amiable.flac": "he might even have been made amiable himself",
    "young_man.flac": "he was not an ill disposed young man",
}
NO_MODEL = "moonshine=/no/such/model"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two clips with their words."""
    folder = tmp_path_factory.mktemp("clips")
    for name, text in SAID.items():
        shutil.copy(SPEECH / name, folder / name)
        (folder / name).with_suffix(".txt").write_text(text)
    return folder


def servers_of(pid: int) -> list[psutil.Process]:
    """Speech-to-text servers that a process has started, whether it still is or not."""
    mark = f"voxmesh_stt --engine moonshine --parent-pid {pid} "
    running = psutil.process_iter(["cmdline"])
    return [each for each in running if mark in " ".join([*(each.info["cmdline"] or ()), ""])]


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [VOXMESH, "bench", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def bench(*arguments: str | Path, code: int = 0) -> CompletedProcess[str]:
    """Run `voxmesh bench`, which must end with `code` and leave no server behind."""
    before = servers_of(os.getpid())
    done = run(main, "bench", *map(str, arguments))
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert servers_of(os.getpid()) == before
    return done


def bench_json(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
    done = bench(*arguments, "--json", code=code)
    (line,) = done.stdout.splitlines()
    return json.loads(line)


def test_a_started_engine_is_measured_at_each_number_of_streams(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_CLIPS_A_STREAM", 1)  # a pass in real time takes as long as its clips
    done = bench("stt", clips, "--engine", "moonshine", "--streams", "1,2", "--out", tmp_path)
    assert "As fast as the service takes audio" in done.stdout
    assert "moonshine: streams at once: 2, in real time" in done.stderr
    told = json.loads((tmp_path / "report.json").read_text())
    (target,) = told["targets"]
    assert target["model"]["engine"] == "moonshine"
    assert target["load_s"] > 0
    passes = target["passes"]
    assert [(each["real_time"], each["streams"], len(each["clips"])) for each in passes] == [
        (False, 1, 2),
        (True, 1, 2),
        (False, 2, 2),
        (True, 2, 2),
    ]
    for each in passes:
        assert each["failures"] == 0
        assert each["wer"] < 0.2
        assert each["promises_broken_share"] in {None, 0.0}
        assert each["cpu_s_per_s"] > 0
        assert each["rss_mib"] > each["anonymous_mib"] > 20
        assert each["rss_mib"] >= each["pss_mib"] > 20
        if each["real_time"]:
            assert each["final_delay_p95_s"] >= each["final_delay_p50_s"] > 0
            assert each["taken_s"] > 2 * 2.5 / each["streams"]
        else:
            assert each["real_time_factor"] > 0
    assert (tmp_path / "plot.png").stat().st_size > 5000
    assert "# Speech recognition" in (tmp_path / "report.md").read_text()
    assert "serving" in (tmp_path / "logs/moonshine.log").read_text()


def test_gates_judge_an_engine_against_the_baseline(clips: Path, tmp_path: Path) -> None:
    arguments = ("stt", clips, "--engine", NO_MODEL, "--engine", "moonshine", "--pace", "fast", "--out", tmp_path)
    gates = tmp_path / "gates.toml"
    gates.write_text('[[gates]]\nmetric = "loads"\nat_least = 1\n[[gates]]\nmetric = "real_time_factor"\nbelow = 50\n')
    told = bench_json(*arguments, "--gates", gates, code=1)
    assert {each["target"]: each["verdict"] for each in told["verdicts"]} == {NO_MODEL: "no-go", "moonshine": "go"}
    broken, sound = told["targets"]
    assert broken["problem"].startswith("ended with status 1: ")
    assert "/no/such/model" in broken["problem"]
    assert broken["passes"] == []
    assert sound["problem"] == ""
    assert "ended with status 1" in (tmp_path / "report.md").read_text()


@pytest.fixture(scope="module")
def running() -> Generator[str]:
    """The target of a server that runs already."""
    command = [sys.executable, "-m", "voxmesh_stt", "--engine", "moonshine", "--parent-pid", str(os.getpid())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if ": serving" in line)
            yield line.rpartition("address=")[2].strip().strip('"')
        finally:
            process.terminate()
            process.wait(30)


def test_services_that_run_are_compared_without_touching_them(clips: Path, running: str, tmp_path: Path) -> None:
    names = ("--target", f"one={running}", "--target", f"two={running}")
    done = bench("stt", clips, *names, "--pace", "fast", "--baseline", "two", "--limit", "1", "--out", tmp_path)
    assert "Divided by two" in done.stdout
    assert "ran already" in done.stdout
    for target in json.loads((tmp_path / "report.json").read_text())["targets"]:
        (only,) = target["passes"]
        assert only["rss_mib"] > 20  # as the service tells it
        assert (only["pss_mib"], only["cpu_s_per_s"]) == (None, None)


def test_a_target_that_does_not_serve_is_told_and_ends_with_1(clips: Path, running: str) -> None:
    arguments = ("--target", f"there={running}", "--target", "gone=127.0.0.1:1", "--pace", "fast", "--limit", "1")
    done = bench("stt", clips, *arguments, code=1)
    assert "gone: 127.0.0.1:1: no service serves there" in done.stderr


def test_a_language_that_the_model_does_not_know_fails_every_clip_and_is_told(clips: Path, running: str) -> None:
    arguments = ("stt", clips, "--target", f"t={running}", "--pace", "fast", "--language", "hi")
    (target,) = bench_json(*arguments, code=1)["targets"]
    (only,) = target["passes"]
    assert (only["failures"], only["wer"]) == (2, 1.0)
    assert "'hi' is not supported" in only["clips"][0]["failure"]
    (detected,) = bench_json(*arguments, "--detect-language")["targets"]
    assert detected["passes"][0]["failures"] == 0


def test_one_long_stream_is_heard_to_its_end(clips: Path) -> None:
    told = bench_json("stt", clips, "--engine", "moonshine", "--pace", "fast", "--limit", "1", "--soak", "0.5")
    soak = told["targets"][0]["soak"]
    assert soak["failure"] == ""
    assert soak["audio_s"] >= 30
    assert len(soak["looks"]) >= 10
    assert soak["wer"] < 0.3
    assert soak["verdict"] in {"flat", "growing"}


def test_a_corpus_that_is_wrong_is_a_usage_error(tmp_path: Path) -> None:
    manifest = tmp_path / "x.jsonl"
    manifest.write_text("{}\n")
    done = bench("stt", manifest, "--engine", "moonshine", code=2)
    assert done.stderr == f'voxmesh: {manifest}:1: "audio_filepath" is missing or no text\n'


def test_biasing_that_is_ignored_is_shown_as_such(running: str, tmp_path: Path) -> None:
    done = bench("biasing", "--target", f"moonshine={running}", "--expect", "rich=1", "--out", tmp_path, code=1)
    assert "phrases IGNORED" in done.stdout
    assert "context IGNORED" in done.stdout
    assert "moonshine, rich: 1 of 3 terms heard, expected 100%" in done.stderr
    told = json.loads((tmp_path / "biasing.json").read_text())
    contexts = told["targets"][0]["contexts"]
    assert [[each["changed"] for each in context["controls"]] for context in contexts.values()] == [[False, False]] * 4
    assert "Cloud" in contexts["rich"]["clips"][1]["heard"]
    assert "# Biasing" in (tmp_path / "biasing.md").read_text()


def test_biasing_without_expectations_ends_with_0(running: str) -> None:
    told = bench_json("biasing", "--target", f"t={running}")
    assert told["not_as_expected"] == []


async def test_a_server_that_dies_fails_the_rest_without_waiting_for_it(clips: Path, tmp_path: Path) -> None:
    corpus = read_corpus(clips, "en")
    many = Corpus(corpus.path, corpus.clips * 50)
    (target,) = read_targets([], ["moonshine"], [])
    done: list[Heard] = []
    async with serving(target, Limits(load_s=60, logs=tmp_path)) as server:
        pid = server.watch.pid
        assert pid is not None

        def on_done(heard: Heard) -> None:
            done.append(heard)
            if len(done) == 1:
                psutil.Process(pid).kill()

        async with asyncio.timeout(60):
            found = await measure(server, many, 1, Manner(), on_done)
    assert len(found.heard) == 100
    assert len(found.failures) == 99
    assert len(done) <= 3
    assert found.failures[-1].failure == "not tried: the service is gone"
    assert found.score.words.rate == pytest.approx(0.99, abs=0.02)


@pytest.fixture
def interruptible() -> Generator[None]:
    """What a shell runs in the background, and all that starts from it, would ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_the_server_that_was_started(clips: Path) -> None:
    with start("stt", clips, "--engine", "moonshine", "--soak", "600") as process:
        try:
            assert process.stderr is not None
            assert next(line for line in process.stderr if "in real time" in line)
            assert len(servers_of(process.pid)) == 1
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        finally:
            process.kill()
    assert servers_of(process.pid) == []
