"""The life of a local mesh: `voxmesh up` in a process of its own, with real services."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import run

from voxmesh_client.cli.app import main
from voxmesh_client.local import process
from voxmesh_runtime.ports import free_block, is_free

pytestmark = pytest.mark.mesh

VOXMESH = str(Path(sys.executable).with_name("voxmesh"))
SERVICES = "turn,tts"
LIGHT = "tts"
"""Where one service will do: the one that starts fastest."""
PATIENCE_S = 60.0


class Up:
    """A running `voxmesh up --json` and the states it has told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.told: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))

    def tells(self, **fields: object) -> bool:
        return any(fields.items() <= each.items() for each in self.told)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def wait_for(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


@contextmanager
def up(base_port: int, state: Path, only: str = SERVICES) -> Generator[Up]:
    """`voxmesh up` for the time of a block; whatever is left is killed and makes the test fail."""
    environment = {**os.environ, "VOXMESH_STATE_DIR": str(state)}
    command = [VOXMESH, "up", "--json", "--only", only, "--base-port", str(base_port), "--grace", "5"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        running = Up(process)
        children: list[psutil.Process] = []
        try:
            wait_for(lambda: running.tells(state="all serving") or process.poll() is not None)
            children = running.children() if process.poll() is None else []
            yield running
        finally:
            process.kill()
            process.wait()
            left = psutil.wait_procs(children, timeout=10)[1]
            for each in left:
                each.kill()
            assert not left


def test_up_starts_services_restarts_one_that_dies_and_stops_all(tmp_path: Path) -> None:
    base_port = free_block(7)
    with up(base_port, tmp_path) as running:
        children = running.children()
        assert len(children) == 2
        status = run(main, "status", "--only", SERVICES, "--base-port", str(base_port), "--json")
        assert [json.loads(line)["health"] for line in status.stdout.splitlines()] == ["serving", "serving"]
        assert status.returncode == 0
        assert run(main, "status", "--base-port", str(base_port)).returncode == 1  # the others are down

        told_before = len(running.told)
        children[0].kill()
        wait_for(lambda: any(each.get("state") == "restarting" for each in running.told[told_before:]))
        wait_for(lambda: any(each.get("state") == "serving" for each in running.told[told_before:]))
        children = running.children()
        assert len(children) == 2

        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 0
        assert psutil.wait_procs(children, timeout=0)[1] == []
        wait_for(lambda: running.tells(service="tts", state="stopped") and running.tells(service="turn"))
    assert "serving" in (tmp_path / f"mesh-{base_port}" / "tts.log").read_text()


def test_no_service_outlives_an_up_that_is_killed(tmp_path: Path) -> None:
    base_port = free_block(7)
    with up(base_port, tmp_path, LIGHT) as running:
        children = running.children()
        assert children
        running.process.kill()
        assert psutil.wait_procs(children, timeout=10)[1] == []
    wait_for(lambda: all(is_free(port) for port in range(base_port, base_port + 7)))


def test_a_port_in_use_is_told_with_its_user_before_anything_starts(tmp_path: Path) -> None:
    base_port = free_block(7)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", base_port + 1))
        listener.listen()
        with up(base_port, tmp_path) as running:
            assert running.process.wait() == 1
            assert running.process.stderr is not None
            complaint = running.process.stderr.read()
    assert f"port {base_port + 1} is in use by" in complaint
    assert f"process {os.getpid()}" in complaint
    assert "--base-port" in complaint
    assert running.told == []


def test_a_service_that_cannot_run_is_tried_again_and_then_shown_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "FIRST_PAUSE_S", 0.01)
    environment = {"VOXMESH_STATE_DIR": str(tmp_path), "VOXMESH_ENGINE": "no-such-engine"}
    done = run(main, "up", "--only", LIGHT, "--base-port", str(free_block(7)), environment=environment)
    assert done.returncode == 1
    assert done.stdout.count("restarting") == 3
    assert "tts: failed, exit code 1" in done.stdout
    assert "no-such-engine" in done.stdout
    assert "Traceback" not in done.stderr


def test_wait_prints_one_line_when_all_serve_and_sigterm_stops_all(tmp_path: Path) -> None:
    environment = {**os.environ, "VOXMESH_STATE_DIR": str(tmp_path)}
    base_port = free_block(7)
    command = [VOXMESH, "up", "--wait", "--only", LIGHT, "--base-port", str(base_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        children: list[psutil.Process] = []
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert line.startswith("all services serve after")
            assert f"tts {base_port + 3}" in line
            children = psutil.Process(running.pid).children(recursive=True)
            assert children
        finally:
            running.terminate()
        assert running.stdout.read() == ""
        assert running.wait(20) == 0
    assert psutil.wait_procs(children, timeout=0)[1] == []


def test_an_unknown_service_is_a_usage_error() -> None:
    done = run(main, "up", "--only", "tts,hearing")
    assert done.returncode == 2
    assert "'hearing' is no service" in done.stderr
