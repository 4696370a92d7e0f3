"""A mesh of this machine for the time of a benchmark, on free ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import grpc

from voxmesh_client.errors import MeshError
from voxmesh_client.local.logs import newest_message
from voxmesh_client.local.supervisor import Supervisor, Watched
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR, LLM, SLOTS, STT, TTS, TURN, Slot
from voxmesh_runtime.ports import free_block

TALKING = (COORDINATOR, TURN, STT, TTS, LLM)
"""What a spoken conversation needs."""

_POLL_S = 0.2
_GRACE_S = 5.0


@asynccontextmanager
async def local_mesh(slots: Sequence[Slot], on_change: Callable[[Watched], None]) -> AsyncGenerator[MeshSettings]:
    """Services with this shell's `VOXMESH_*` variables, started and stopped; gives where they are.

    Raises:
        MeshError: one of them does not start.
    """
    cleared = {f"{slot.name}_target": None for slot in SLOTS}
    settings = MeshSettings().model_copy(update={**cleared, "base_port": free_block(len(SLOTS))})
    supervisor = Supervisor(settings, slots, on_change)
    supervisor.start()
    try:
        while not supervisor.all_serving:
            for watched in supervisor.failed:
                launch = watched.process.launch
                why = f"does not start: {newest_message(launch.log_path)}"
                raise MeshError(grpc.StatusCode.UNAVAILABLE, why, launch.slot.name, f"see {launch.log_path}")
            await asyncio.sleep(_POLL_S)
        yield settings
    finally:
        await supervisor.stop(_GRACE_S)
