"""What every service of a mesh says about itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.errors import MeshError
from voxmesh_client.health import Health, check_health
from voxmesh_client.mesh import Mesh
from voxmesh_client.slots import COORDINATOR, EMBED, LLM, SLOTS, STT, TTS, TURN, VLM, Slot


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One service as it answered just now."""

    slot: Slot
    target: str
    health: Health
    info: Message | None
    """GetModelInfoResponse of the slot; None when it is not serving, or has no model of its own."""
    slots: Sequence[conversation_pb2.SlotStatus] = ()
    """How a coordinator finds the services behind it; empty for the others, and where it is too old to tell."""

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
        if health is not Health.SERVING:
            return ServiceReport(slot, target, health, None)
        slots = await _slots(mesh) if slot is COORDINATOR else ()
        return ServiceReport(slot, target, health, await model_info(mesh, slot), slots)
    except MeshError:  # it stopped between the questions
        return ServiceReport(slot, target, Health.DOWN, None)


async def _slots(mesh: Mesh) -> Sequence[conversation_pb2.SlotStatus]:
    try:
        return await mesh.slot_status()
    except MeshError as error:
        if error.code is grpc.StatusCode.UNIMPLEMENTED:
            return ()
        raise


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
