"""C15: what the coordinator says of the services behind it, and how conversations go on without some of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2
from hosts import free_port
from processes import ServiceProcess
from talking import Talk, question, reply_audio, reply_text, talk
from test_coordinator import Request, ask, asked, config, coordinator, llm_proxy, says, scripted

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client import Mesh, MeshSettings
from voxmesh_client.health import Health, check_health
from voxmesh_routing.settings import BackendSettings
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import RunningServer, running
from voxmesh_testing.llm_server import Play, RecordedUpstream, recorded_upstream
from voxmesh_testing.streams import details, exchange
from voxmesh_tts.servicer import TtsService
from voxmesh_tts.settings import TtsSettings

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

SlotStatus = conversation_pb2.SlotStatus
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio
DOWN, DEGRADED, SERVING = SlotStatus.STATE_DOWN, SlotStatus.STATE_DEGRADED, SlotStatus.STATE_SERVING

NOBODY = "127.0.0.1:9"
NO_MESH = {f"{slot}_target": NOBODY for slot in ("turn", "stt", "llm", "tts", "vlm")}
STORY = [f"This is sentence number {number}. " for number in ("one", "two", "three", "four", "five", "six")]


@asynccontextmanager
async def voice(port: int) -> AsyncGenerator[RunningServer]:
    """A text-to-speech service, which is gone at the end of the block."""
    own = TtsSettings(port=port, drain_s=0.0)
    async with running(TtsService(EngineHost.of("tts", own), own), own) as server:
        yield server


@asynccontextmanager
async def with_voice_at(port: int, *plays: Play) -> AsyncGenerator[tuple[RecordedUpstream, Talk]]:
    """A typed conversation with spoken replies, whose only voice may come and go at a port."""
    targets = {**NO_MESH, "tts_target": f"127.0.0.1:{port}", "connect_timeout_s": 0.3}
    async with (
        recorded_upstream() as server,
        llm_proxy(server) as proxy,
        coordinator(MeshSettings(), **{**targets, "llm_target": proxy}) as (_, there),
        Mesh(there) as mesh,
        mesh.conversation(conversation_pb2.ConversationConfig()) as conversation,
    ):
        server.play(*plays)
        call = Talk(conversation)
        listening = asyncio.create_task(call.listen())
        yield server, call
        listening.cancel()


def states(call: Talk) -> list[tuple[str, SlotStatus.State.ValueType]]:
    """What the client was told of slots."""
    return [(status.slot, status.state) for status in call.events(SlotStatus)]


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


async def test_without_a_voice_a_session_answers_in_text_and_speaks_again_once_the_voice_is_back() -> None:
    port = free_port()
    async with with_voice_at(port, says("It is Paris.")) as (_, call):
        first = await call.until(SlotStatus)
        await ask(call, "What is the capital of France?", 0)
        assert not call.events(ReplyAudio)
        async with voice(port):
            await call.until(SlotStatus, 2)
            await ask(call, "Again, please.", 1)
    assert states(call) == [("tts", DOWN), ("tts", SERVING)]
    assert first.reason.startswith(f"replies are text alone: tts at 127.0.0.1:{port}: not reachable")
    assert call.heard[0] == first
    assert not call.events(TurnFailed)
    assert (reply_text(call, 0), reply_text(call, 1)) == ("It is Paris.", "It is Paris.")
    assert reply_audio(call, 1)


async def test_a_voice_that_dies_in_mid_reply_leaves_the_rest_in_text() -> None:
    port = free_port()
    async with voice(port) as server, with_voice_at(port, says(*STORY, gap_s=0.2), says("Good.")) as (upstream, call):
        await call.conversation.send_text("Tell me a story.")
        await call.until(ReplyAudio)
        await server.stop()
        await call.until(TurnReport)
        await ask(call, "Thank you.", 1)
        messages = asked(upstream, -1)
    assert states(call) == [("tts", DOWN)]
    assert not call.events(TurnFailed)
    assert reply_text(call, 0) == "".join(STORY)
    pieces = call.events(ReplyAudio)
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert [message["content"].strip() for message in messages[1:]] == [
        "Tell me a story.",
        "".join(STORY).strip(),
        "Thank you.",
    ]
    assert reply_text(call, 1) == "Good."


async def test_of_a_reply_in_text_that_is_stopped_the_history_keeps_what_was_shown() -> None:
    endless = says("Once upon a time. ", "Nobody reads this.", gap_s=60.0)
    async with with_voice_at(free_port(), endless, says("Yes.")) as (upstream, call):
        await call.conversation.send_text("Tell me a story.")
        await call.until(conversation_pb2.ReplyText)
        await call.conversation.interrupt()
        interrupted = await call.until(conversation_pb2.Interrupted)
        await ask(call, "Are you there?", 1)
        messages = asked(upstream, -1)
    assert interrupted.heard_text == "Once upon a time."
    assert messages[-2]["content"] == "Once upon a time."


async def test_without_a_language_model_a_session_is_refused_and_asked_to_come_again() -> None:
    async with (
        coordinator(MeshSettings(), **NO_MESH, connect_timeout_s=0.3) as (_, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config()) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "llm at 127.0.0.1:9" in str(error.details())
    assert [type(detail) for detail in details(error)] == [error_details_pb2.RetryInfo]


async def test_a_voice_that_refuses_the_config_refuses_the_session() -> None:
    port = free_port()
    async with (
        voice(port),
        recorded_upstream() as server,
        llm_proxy(server) as proxy,
        coordinator(MeshSettings(), **{**NO_MESH, "llm_target": proxy, "tts_target": f"127.0.0.1:{port}"}) as (
            _,
            there,
        ),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        refused: Request = config(voice="nobody")
        async with exchange(stub.Converse, refused) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("slot", ["turn", "stt"])
async def test_without_a_listener_typed_turns_work_and_speech_is_heard_once_it_is_back(
    settings: MeshSettings, slot: str
) -> None:
    one = ServiceProcess(f"voxmesh_{slot}", log_level="ERROR")
    async with scripted(settings, says("Yes."), **{f"{slot}_target": one.target}) as (_, there), talk(there) as call:
        await call.until(SlotStatus)
        await ask(call, "Are you there?", 0)
        try:
            await one.start()
            await call.until(SlotStatus, 2)
            call.say(question())
            ended = await call.until(conversation_pb2.TurnEnded, 2)
            await call.until(TurnReport, 2)
        finally:
            await one.stop()
    assert states(call)[:2] == [(slot, DOWN), (slot, SERVING)]
    assert not call.events(TurnFailed)
    assert ended.text.lower().strip("?.") == "what is the capital of france"
