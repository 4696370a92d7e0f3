"""A service in a process of its own, which a test may kill; one that dies by itself is noticed at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from hosts import free_port

from voxmesh_client.health import Health, check_health

STARTED_WITHIN_S = 60
OUTPUT_BYTES = 4000
"""Of the end of what a process wrote, shown when it died."""


class ServiceDied(Exception):
    """A process ended by itself; its message has the end of what it wrote."""


class ServiceProcess:
    """Runs `python -m MODULE` on a free port of loopback, again and again on the same one.

    Args:
        module: such as voxmesh_stt.
        environment: what it has beside this process's variables.
        log_level: of the service.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None, log_level: str = "WARNING") -> None:
        self.port = free_port()
        self.target = f"127.0.0.1:{self.port}"
        own = {"VOXMESH_PORT": f"{self.port}", "VOXMESH_PARENT_PID": f"{os.getpid()}", "VOXMESH_LOG_LEVEL": log_level}
        self._environment = {**os.environ, **own, **(environment or {})}
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._output: IO[bytes] | None = None

    async def start(self) -> None:
        """Start and wait until it is healthy.

        Raises:
            ServiceDied: it ended instead.
            TimeoutError: it does neither.
        """
        output = self._output = tempfile.TemporaryFile()  # noqa: SIM115 # `stop` closes it
        command = [sys.executable, "-m", self._module]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, env=self._environment, stdout=output, stderr=output
            )
            await self.until(Health.SERVING)
        except BaseException:
            await self.stop()
            raise

    async def until(self, health: Health) -> None:
        """Wait for what it tells of itself; raises as `start` does."""
        async with asyncio.timeout(STARTED_WITHIN_S):
            while await check_health(self.target) is not health:
                if not self.is_running:
                    raise ServiceDied(f"{self._module} at {self.target} ended by itself:\n{self._last_output()}")
                await asyncio.sleep(0.05)

    @property
    def is_running(self) -> bool:
        """It has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the process, which runs."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, by default without a word."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(how)
            await process.wait()
        if self._output is not None:
            # A test that fails shows it.
            sys.stderr.write(self._last_output())
            self._output.close()
            self._output = None

    def _last_output(self) -> str:
        if self._output is None:
            return ""
        end = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, end - OUTPUT_BYTES))
        return self._output.read().decode(errors="replace")
