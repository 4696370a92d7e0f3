"""What every service of a mesh says about itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from voxmesh.common.v1 import common_pb2
from voxmesh_client.errors import MeshError
from voxmesh_client.health import Health, check_health
from voxmesh_client.mesh import Mesh
from voxmesh_client.slots import EMBED, LLM, SLOTS, STT, TTS, TURN, VLM, Slot


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One service as it answered just now."""

    slot: Slot
    target: str
    health: Health
    info: Message | None
    """GetModelInfoResponse of the slot; None when it is not serving, or has no model of its own."""

    @property
    def model(self) -> common_pb2.ModelInfo | None:
        """What every service tells of its model."""
        info: Any = self.info
        return None if info is None else info.model_info


async def inspect(mesh: Mesh, slots: Iterable[Slot] = SLOTS) -> list[ServiceReport]:
    """Ask services all at once; one that is down is reported, not raised."""
    return list(await asyncio.gather(*(_inspect_one(mesh, slot) for slot in slots)))


async def _inspect_one(mesh: Mesh, slot: Slot) -> ServiceReport:
    target = mesh.settings.target(slot)
    health = await check_health(target)
    try:
        info = await model_info(mesh, slot) if health is Health.SERVING else None
    except MeshError:  # it stopped between the two questions
        return ServiceReport(slot, target, Health.DOWN, None)
    return ServiceReport(slot, target, health, info)


async def model_info(mesh: Mesh, slot: Slot) -> Message | None:
    """GetModelInfoResponse of a serving service; None for the coordinator, which has no model.

    Raises:
        MeshError: it does not answer.
    """
    services = {
        TURN: mesh.turn_detection,
        STT: mesh.speech_to_text,
        TTS: mesh.text_to_speech,
        LLM: mesh.language_model,
        VLM: mesh.vision_language,
        EMBED: mesh.embeddings,
    }
    service = services.get(slot)
    return None if service is None else await service.info()
