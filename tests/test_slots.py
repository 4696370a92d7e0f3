"""C15: what the coordinator says of the services behind it, and how conversations go on without some of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
from test_coordinator import coordinator, llm_proxy

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client import MeshSettings
from voxmesh_client.health import Health, check_health
from voxmesh_routing.settings import BackendSettings
from voxmesh_runtime.channels import open_channel
from voxmesh_testing.llm_server import recorded_upstream

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

SlotStatus = conversation_pb2.SlotStatus
DOWN, DEGRADED, SERVING = SlotStatus.STATE_DOWN, SlotStatus.STATE_DEGRADED, SlotStatus.STATE_SERVING

NOBODY = "127.0.0.1:9"
NO_MESH = {f"{slot}_target": NOBODY for slot in ("turn", "stt", "llm", "tts", "vlm")}


async def test_status_names_each_slot_its_backends_and_what_is_wrong() -> None:
    async with recorded_upstream() as server, llm_proxy(server) as one:
        backends = (BackendSettings(target=one), BackendSettings(target=NOBODY))
        async with (
            coordinator(MeshSettings(), **{**NO_MESH, "llm_backends": backends, "tts_target": one}) as (_, there),
            open_channel(there.coordinator_target or "") as channel,
        ):
            stub = conversation_pb2_grpc.ConversationServiceStub(channel)
            told = await stub.GetStatus(conversation_pb2.GetStatusRequest())
            health = await check_health(there.coordinator_target or "")
            shown, code = await status(there)
    assert [(slot.slot, slot.state) for slot in told.slots] == [
        ("turn", DOWN),
        ("stt", DOWN),
        ("llm", DEGRADED),
        ("tts", SERVING),
        ("vlm", DOWN),
    ]
    assert [(backend.target, backend.is_well) for backend in told.slots[2].backends] == [(one, True), (NOBODY, False)]
    assert "is it running" in told.slots[2].reason
    assert told.slots[0].reason.startswith("only typed turns work: turn at 127.0.0.1:9: ")
    assert not told.slots[3].reason
    assert told.host
    assert health is Health.SERVING
    assert code == 1
    (line,) = (json.loads(line) for line in shown.splitlines())
    assert [(slot["slot"], slot["state"]) for slot in line["slots"]] == [
        ("turn", "down"),
        ("stt", "down"),
        ("llm", "degraded"),
        ("tts", "serving"),
        ("vlm", "down"),
    ]
    assert line["slots"][0]["reason"] == told.slots[0].reason


async def status(there: MeshSettings, *options: str) -> tuple[str, int | None]:
    """What `voxmesh status` prints of the coordinator, and its exit code."""
    command = [sys.executable, "-m", "voxmesh_client", "status", "--only", "coordinator", *(options or ("--json",))]
    environment = {**os.environ, "VOXMESH_COORDINATOR_TARGET": there.coordinator_target or ""}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    shown, _ = await process.communicate()
    return shown.decode(), process.returncode


@pytest.mark.parametrize("second", [True, False], ids=["C15 degraded", "C15 serving"])
async def test_status_is_well_while_every_slot_works(*, second: bool) -> None:
    async with recorded_upstream() as server, llm_proxy(server) as one:
        targets = dict.fromkeys(NO_MESH, one)
        backends = (BackendSettings(target=one), *((BackendSettings(target=NOBODY),) if second else ()))
        async with coordinator(MeshSettings(), **{**targets, "tts_backends": backends}) as (_, there):
            shown, code = await status(there, "--base-port", "50050")
    assert code == 0
    assert ("degraded" in shown, "1 of 2" in shown) == (second, second)
    assert "coordinator" in shown
