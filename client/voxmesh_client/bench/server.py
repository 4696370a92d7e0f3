"""One server for the time of its measurement: found, or started and stopped for sure."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxmesh.common.v1 import common_pb2
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.processes import Memory, Watch
from voxmesh_client.bench.targets import Running, Startable, Target
from voxmesh_client.errors import MeshError
from voxmesh_client.health import Health, check_health
from voxmesh_client.inspection import model_info
from voxmesh_client.local.logs import newest_message
from voxmesh_client.local.process import kill_group
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import STT, Slot
from voxmesh_runtime.ports import LOOPBACK, free_block

_POLL_S = 0.2
_STOP_S = 15.0
_DEFAULT_STREAMS = 16
_OTHER_MODEL = {"VOXMESH_MODEL", "VOXMESH_FALLBACK_ENGINES"}


class NotLoaded(Exception):
    """A target does not serve; the message says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How servers are found or started."""

    load_s: float = 600.0
    """Longest wait until one serves."""
    streams: int = 1
    """Streams that will be open at once."""
    logs: Path = Path()
    """Folder of the logs of servers that are started."""
    slot: Slot = STT


@dataclass(frozen=True, slots=True)
class Server:
    """A server that serves."""

    slot: Slot
    address: str
    mesh: Mesh
    """Whose target for the slot is this server."""
    info: Any
    """GetModelInfoResponse of the slot."""
    watch: Watch
    load_s: float | None
    """From its start until it served; None when it ran already."""

    @property
    def model(self) -> common_pb2.ModelInfo:
        """What every service tells of its model."""
        return self.info.model_info

    async def memory(self, seen: Memory) -> Memory:
        """What was seen of its processes, and for the rest what it tells of itself now."""
        try:
            info: Any = await model_info(self.mesh, self.slot)
        except MeshError:  # it is gone, which its clips tell
            return seen
        return seen.filled(Memory.of(info.model_info))


@asynccontextmanager
async def serving(target: Target, limits: Limits) -> AsyncGenerator[Server]:
    """The server of a target for the time of a block.

    Raises:
        NotLoaded: it does not serve.
        BenchUsage: its interpreter is missing.
    """
    match target:
        case Running():
            if await check_health(target.target) is not Health.SERVING:
                raise NotLoaded(f"{target.target}: no service serves there; look at `voxmesh status`")
            async with _connected(limits.slot, target.target, None, None) as server:
                yield server
        case Startable():
            async with _started(target, limits) as server:
                yield server


@asynccontextmanager
async def _connected(slot: Slot, address: str, pid: int | None, load_s: float | None) -> AsyncGenerator[Server]:
    async with Mesh(MeshSettings().with_target(slot, address)) as mesh:
        try:
            info = await model_info(mesh, slot)
        except MeshError as error:
            raise NotLoaded(str(error)) from None
        yield Server(slot, address, mesh, info, Watch(pid), load_s)


@asynccontextmanager
async def _started(target: Startable, limits: Limits) -> AsyncGenerator[Server]:
    port = free_block(1)
    limits.logs.mkdir(parents=True, exist_ok=True)
    log_path = limits.logs / f"{target.name.replace('/', '_')}.log"
    began = time.monotonic()
    with log_path.open("wb") as log:
        process = await _spawn(target, limits, port, log.fileno())
    async with stopped(process):
        address = f"{LOOPBACK}:{port}"
        await _serves(process, address, limits.load_s, log_path)
        async with _connected(limits.slot, address, process.pid, time.monotonic() - began) as server:
            yield server


@asynccontextmanager
async def stopped(process: asyncio.subprocess.Process) -> AsyncGenerator[None]:
    """End a process, and all that it started, at the end of a block."""
    try:
        yield
    finally:
        await _stop(process)


async def _spawn(target: Startable, limits: Limits, port: int, log: int) -> asyncio.subprocess.Process:
    command = [
        "-m",
        limits.slot.module,
        *(("--engine", target.engine) if target.engine else ()),
        "--parent-pid",
        str(os.getpid()),
        "--port",
        str(port),
    ]
    command += ["--model", target.model] if target.model is not None else []
    environment = {**operators_environment(), **target.variables}
    environment.update(VOXMESH_HOST=LOOPBACK, VOXMESH_MAX_STREAMS=str(max(_DEFAULT_STREAMS, limits.streams)))
    try:
        return await asyncio.create_subprocess_exec(
            str(target.python),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise BenchUsage(f"{target.name}: cannot run {target.python}: {error.strerror}") from None


def operators_environment() -> dict[str, str]:
    """The variables of this shell, such as VOXMESH_DEVICE, but for those by which another model would be measured."""
    return {name: value for name, value in os.environ.items() if name not in _OTHER_MODEL}


async def _serves(process: asyncio.subprocess.Process, address: str, load_s: float, log_path: Path) -> None:
    deadline = time.monotonic() + load_s
    while await check_health(address) is not Health.SERVING:
        if process.returncode is not None:
            raise NotLoaded(f"ended with status {process.returncode}: {newest_message(log_path)} (see {log_path})")
        if time.monotonic() > deadline:
            raise NotLoaded(f"does not serve after {load_s:g} s: {newest_message(log_path)} (see {log_path})")
        await asyncio.sleep(_POLL_S)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, then SIGKILL to whatever of it is left, children too."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_S)
    kill_group(process.pid)
    await process.wait()
