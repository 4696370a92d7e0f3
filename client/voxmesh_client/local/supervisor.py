"""All services of a local mesh: started together, watched, stopped in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from voxmesh_client.errors import MeshError
from voxmesh_client.health import Health, check_health
from voxmesh_client.inspection import ServiceReport, model_info
from voxmesh_client.local import ports
from voxmesh_client.local.process import Launch, ServiceProcess, State
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COMPOSED, COORDINATOR, SLOTS, Slot
from voxmesh_runtime.ports import LOOPBACK

_LOADING_POLL_S = 0.3
_SERVING_POLL_S = 2.0
_DRAIN_S = "2"
"""Longest wait of a stopping service for open streams, in seconds, unless the operator chose another."""

_OBSERVED = {Health.DOWN: State.STARTING, Health.NOT_SERVING: State.LOADING, Health.SERVING: State.SERVING}


class PortsTaken(Exception):
    """Ports that the mesh needs are in use; nothing was started."""


@dataclass(slots=True)
class Watched:
    """A service and what was last seen of it."""

    process: ServiceProcess
    report: ServiceReport | None = None
    memory_bytes: int = 0
    """Resident memory of the process and its children."""


class Supervisor:
    """Runs services as children of this process.

    Args:
        settings: where the mesh is; only loopback ports after `base_port` are used.
        slots: services to run.
        on_change: called after every change of a service's state.

    Raises:
        PortsTaken: from `start`.
    """

    def __init__(
        self, settings: MeshSettings, slots: Sequence[Slot] = SLOTS, on_change: Callable[[Watched], None] | None = None
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._watchers: list[asyncio.Task[None]] = []
        self.services = {slot: Watched(ServiceProcess(self._launch(slot), self._changed)) for slot in slots}

    def start(self) -> None:
        """Check the ports, then start every service."""
        problems = ports.taken(watched.process.launch.port for watched in self.services.values())
        if problems:
            raise PortsTaken("; ".join(problems) + "; stop that, or choose others with --base-port")
        for watched in self.services.values():
            watched.process.start()
        self._watchers = [asyncio.create_task(self._watch(watched)) for watched in self.services.values()]

    @property
    def all_serving(self) -> bool:
        """True when every service serves."""
        return all(watched.process.state is State.SERVING for watched in self.services.values())

    @property
    def failed(self) -> list[Watched]:
        """Services that are not started again."""
        return [watched for watched in self.services.values() if watched.process.state is State.FAILED]

    async def stop(self, grace_s: float) -> None:
        """The coordinator first, since its turns need the others; then all others."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.wait(self._watchers) if self._watchers else None
        processes = {slot: watched.process for slot, watched in self.services.items()}
        coordinator = processes.pop(COORDINATOR, None)
        try:
            if coordinator is not None:
                await coordinator.stop(grace_s)
        finally:
            await asyncio.gather(*(process.stop(grace_s) for process in processes.values()))

    def kill(self) -> None:
        """End everything at once."""
        for watched in self.services.values():
            watched.process.kill()

    def _launch(self, slot: Slot) -> Launch:
        port = self._settings.base_port + slot.port_offset
        # Children inherit the operator's variables; this is the one place that passes them on.
        own = {"VOXMESH_PORT": str(port), "VOXMESH_PARENT_PID": str(os.getpid())}
        environment = {"VOXMESH_DRAIN_S": _DRAIN_S, **os.environ, **own}
        if slot is COORDINATOR:
            targets = {f"VOXMESH_{used.name.upper()}_TARGET": self._settings.target(used) for used in COMPOSED}
            environment.update(targets)
        return Launch(slot, port, environment, self._settings.logs_dir() / f"{slot.name}.log")

    def _changed(self, process: ServiceProcess) -> None:
        if self._on_change is not None:
            self._on_change(self.services[process.launch.slot])

    async def _watch(self, watched: Watched) -> None:
        slot = watched.process.launch.slot
        target = f"{LOOPBACK}:{watched.process.launch.port}"
        async with Mesh(self._settings.with_target(slot, target)) as mesh:
            while True:
                await self._look(watched, mesh, slot, target)
                serving = watched.process.state is State.SERVING
                await asyncio.sleep(_SERVING_POLL_S if serving else _LOADING_POLL_S)

    async def _look(self, watched: Watched, mesh: Mesh, slot: Slot, target: str) -> None:
        if watched.process.pid is None:
            watched.memory_bytes = 0
            return
        health = await check_health(target)
        watched.process.observed(_OBSERVED[health])
        watched.memory_bytes = _memory_bytes(watched.process.pid)
        try:
            info = await model_info(mesh, slot) if health is Health.SERVING else None
        except MeshError:  # it stopped between the two questions
            return
        watched.report = ServiceReport(slot, target, health, info)


def _memory_bytes(pid: int | None) -> int:
    if pid is None:
        return 0
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0
