"""One service as a child process: started, watched, started again when it dies, stopped for sure."""

from __future__ import annotations

import asyncio
import enum
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from voxmesh_client.slots import Slot

MAX_RESTARTS = 3
FIRST_PAUSE_S = 1.0
"""Before the first restart, in seconds; each further pause is twice as long."""
STABLE_S = 60.0
"""A service that served this long has its restarts forgiven, in seconds."""


class State(enum.Enum):
    """What a service is doing."""

    STARTING = "starting"
    """Its process runs; nothing answers yet."""
    LOADING = "loading"
    """It answers; the model is not ready."""
    SERVING = "serving"
    RESTARTING = "restarting"
    """It died and is started again in a moment."""
    FAILED = "failed"
    """It died too often."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a service."""

    slot: Slot
    port: int
    environment: dict[str, str]
    log_path: Path


class ServiceProcess:
    """Runs one service; `on_change` is called after every change of `state`."""

    def __init__(self, launch: Launch, on_change: Callable[[ServiceProcess], None]) -> None:
        self.launch = launch
        self.restarts = 0
        self.exit_code: int | None = None
        self._state = State.STARTING
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._serving_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """What the service is doing."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Its process, while one runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def start(self) -> None:
        """Start and keep it running."""
        self.launch.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.launch.log_path.write_bytes(b"")
        self._task = asyncio.create_task(self._run())

    def observed(self, state: State) -> None:
        """Take what a health check saw: STARTING, LOADING or SERVING."""
        if self.pid is None or self._state in {State.STOPPING, State.RESTARTING, State.FAILED}:
            return
        if state is State.SERVING and self._serving_since is None:
            self._serving_since = asyncio.get_running_loop().time()
        self._enter(state)

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, wait for the drain, then SIGKILL; returns when nothing of it runs."""
        if self._state is State.FAILED:
            return
        self._enter(State.STOPPING)
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        elif self._task is not None:
            self._task.cancel()  # it waits to start again
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=grace_s)
            self.kill()
            await asyncio.wait({self._task})
        self._enter(State.STOPPED)

    def kill(self) -> None:
        """End its process and all its children at once."""
        if self.pid is not None:
            kill_group(self.pid)

    async def _run(self) -> None:
        while True:
            pid, self.exit_code = await self._run_once()
            kill_group(pid)  # children that it left behind
            if self._state is State.STOPPING:
                return
            self._forgive()
            if self.restarts == MAX_RESTARTS:
                self._enter(State.FAILED)
                return
            self._enter(State.RESTARTING)
            await asyncio.sleep(FIRST_PAUSE_S * 2**self.restarts)
            self.restarts += 1

    async def _run_once(self) -> tuple[int, int]:
        """Run until the process ends; its id and exit code."""
        with self.launch.log_path.open("ab") as log:
            # Its own session: Ctrl-C reaches `up` alone, which then stops the services in order.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.launch.slot.module,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.launch.environment,
                start_new_session=True,
            )
        if self._state is State.STOPPING:
            self._process.terminate()
        else:
            self._enter(State.STARTING)
        return self._process.pid, await self._process.wait()

    def _forgive(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._serving_since is not None and now - self._serving_since > STABLE_S:
            self.restarts = 0
        self._serving_since = None

    def _enter(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self._on_change(self)


def kill_group(pid: int) -> None:
    """SIGKILL the session that a service leads; nothing happens when none of it is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
