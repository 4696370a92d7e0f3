"""A mesh of real processes on loopback for the time of a benchmark."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from voxmesh_client import Mesh, MeshSettings
from voxmesh_client.local.logs import last_lines
from voxmesh_client.local.supervisor import Supervisor
from voxmesh_client.slots import COORDINATOR, LLM, SLOTS, STT, TTS, TURN, Slot
from voxmesh_runtime.ports import free_block

MAX_STREAMS = 64
"""Places on every service: more than any benchmark opens."""
SPOKEN = (TURN, STT, TTS, LLM, COORDINATOR)
"""What a spoken conversation needs."""

_STARTED_WITHIN_S = 300.0
_GRACE_S = 5.0


class MeshNotStarted(Exception):
    """A service did not come up; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """A running mesh and a client of it."""

    client: Mesh
    supervisor: Supervisor

    def process(self, slot: Slot) -> psutil.Process:
        """The service's own process, without its children."""
        pid = self.supervisor.services[slot].process.pid
        if pid is None:
            raise MeshNotStarted(f"{slot.name} does not run any more")
        return psutil.Process(pid)

    def processes(self) -> dict[str, psutil.Process]:
        """All processes of the mesh by name; a service's child is named after it, as "llm/1"."""
        found: dict[str, psutil.Process] = {}
        for slot in self.supervisor.services:
            found[slot.name] = self.process(slot)
            for number, child in enumerate(found[slot.name].children(recursive=True), start=1):
                found[f"{slot.name}/{number}"] = child
        return found

    @property
    def restarts(self) -> int:
        """Services that died and were started again."""
        return sum(watched.process.restarts for watched in self.supervisor.services.values())


@asynccontextmanager
async def running_mesh(
    slots: Sequence[Slot] = SPOKEN, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[LocalMesh]:
    """A mesh on free ports that serves, with `environment` for all its services.

    Raises:
        MeshNotStarted: a service failed or took too long.
    """
    variables = {"VOXMESH_MAX_STREAMS": str(MAX_STREAMS), "VOXMESH_TEMPERATURE": "0", **(environment or {})}
    with tempfile.TemporaryDirectory(prefix="voxmesh-bench-") as folder:
        settings = MeshSettings(base_port=free_block(len(SLOTS)), state_dir=Path(folder))
        settings = settings.model_copy(update={f"{slot.name}_target": None for slot in SLOTS})
        supervisor = Supervisor(settings, slots)
        for watched in supervisor.services.values():
            watched.process.launch.environment.update(variables)
        supervisor.start()
        try:
            await _all_serve(supervisor, settings)
            async with Mesh(settings) as client:
                yield LocalMesh(client, supervisor)
        finally:
            await supervisor.stop(_GRACE_S)


async def _all_serve(supervisor: Supervisor, settings: MeshSettings) -> None:
    for _ in range(round(_STARTED_WITHIN_S / 0.1)):
        if supervisor.all_serving:
            return
        if supervisor.failed:
            break
        await asyncio.sleep(0.1)
    waiting = [slot.name for slot, watched in supervisor.services.items() if watched.process.state.value != "serving"]
    lines = [line for name in waiting for line in last_lines(settings.logs_dir() / f"{name}.log", 5)]
    raise MeshNotStarted("\n".join([f"not serving: {', '.join(waiting)}", *lines]))
