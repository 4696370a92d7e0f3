"""Many sessions, and long ones: answered side by side, spread over replicas, refused in words, and gone when over."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from contextlib import AsyncExitStack

import grpc
import pytest
from google.rpc import error_details_pb2
from talking import S16, chat, talk
from test_coordinator import ask, asked, config, coordinator, llm_proxy, says, scripted

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client import MeshSettings
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import running
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings
from voxmesh_testing.llm_server import Play, recorded_upstream
from voxmesh_testing.streams import details, exchange, wait_until
from voxmesh_tts.servicer import TtsService
from voxmesh_tts.settings import TtsSettings

pytestmark = pytest.mark.mesh

Request = conversation_pb2.ConverseRequest
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio

SESSIONS = 6


async def test_every_session_is_spoken_to_while_the_replies_of_all_others_go_on(settings: MeshSettings) -> None:
    endless = says("I begin to speak. ", "This is never said.", gap_s=60.0)
    async with scripted(settings, endless) as (server, there), AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(talk(there)) for _ in range(SESSIONS)]
        for call in calls:
            await call.conversation.send_text("Go on.")
        await asyncio.gather(*(call.until(ReplyAudio) for call in calls))
        assert len(server.requests) == SESSIONS
        assert not any(call.events(TurnReport) for call in calls)


async def test_a_client_that_reads_nothing_holds_its_own_reply_back_and_no_other(settings: MeshSettings) -> None:
    flood = says(*["And so on and on it goes. " * 160] * 5000)
    async with (
        scripted(settings, flood, says("I am here."), resume_s=0) as (server, there),
        open_channel(there.coordinator_target or "", is_apart=True) as channel,
        chat(there) as call,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(text_replies_only=True)) as deaf:
            await deaf.until("session_started")
            await deaf.send(Request(text="Tell me everything."))
            await deaf.until("reply_text")
            for turn in range(3):
                await ask(call, "Are you there?", turn)
        # The language model had not been able to write all of it.
        await wait_until(lambda: server.hang_ups == 1)
    assert not call.events(TurnFailed)


async def test_sessions_are_spread_over_the_replicas_of_a_service(settings: MeshSettings) -> None:
    async with AsyncExitStack() as stack:
        services = [TtsService(EngineHost.of("tts", TtsSettings()), TtsSettings()) for _ in range(2)]
        servers = [await stack.enter_async_context(running(each, TtsSettings())) for each in services]
        target = "ipv4:" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
        _, there = await stack.enter_async_context(coordinator(settings, tts_target=target))
        for _ in range(SESSIONS):
            await stack.enter_async_context(talk(there))
        # The first few may begin while only one of them is connected.
        assert all(each.streams.active_count for each in services)


async def test_a_service_that_is_full_is_named_to_the_client_with_a_time_to_retry(settings: MeshSettings) -> None:
    own = SttSettings(max_streams=1)
    recognition = stt_pb2.RecognitionConfig(audio_format=S16)
    async with (
        running(SttService(EngineHost.of("stt", own), own), own) as full,
        coordinator(settings, stt_target=f"127.0.0.1:{full.port}") as (_, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(recognition=recognition)) as first:
            await first.until("session_started")
            async with exchange(stub.Converse, config(recognition=recognition)) as second:
                error = await second.failure()
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "stt at" in str(error.details())
    assert any(isinstance(detail, error_details_pb2.RetryInfo) for detail in details(error))


async def test_a_turn_that_the_language_model_is_too_busy_for_fails_by_name_and_the_next_is_answered(
    settings: MeshSettings,
) -> None:
    busy = Play(status=429, error={"error": {"message": "too many requests"}}, headers={"Retry-After": "7"})
    async with (
        recorded_upstream() as server,
        llm_proxy(server) as proxy,
        coordinator(settings, llm_target=proxy) as (_, there),
        chat(there) as call,
    ):
        server.play(lambda body: busy if "now" in body["messages"][-1]["content"] else says("Yes."))
        await call.conversation.send_text("Are you there now?")
        failed = await call.until(TurnFailed)
        await ask(call, "And in a while?", 1)
    retry = error_details_pb2.RetryInfo()
    assert failed.code == 8
    assert "llm at" in failed.message
    assert any(detail.Unpack(retry) for detail in failed.details)
    assert retry.retry_delay.seconds == 7


async def test_a_client_that_vanishes_in_mid_reply_leaves_nobody_at_work(settings: MeshSettings) -> None:
    async with scripted(settings, says("I begin. ", "This is never said.", gap_s=60.0), resume_s=0.3) as (
        server,
        there,
    ):
        async with open_channel(there.coordinator_target or "", is_apart=True) as channel:
            stub = conversation_pb2_grpc.ConversationServiceStub(channel)
            async with exchange(stub.Converse, config()) as stream:
                await stream.until("session_started")
                await stream.send(Request(text="Go on."))
                await stream.until("reply_audio")
        await wait_until(lambda: server.hang_ups == 1)


async def test_a_long_session_holds_no_more_than_a_short_one(settings: MeshSettings) -> None:
    def held() -> Counter[str]:
        gc.collect()
        kinds = Counter(type(each) for each in gc.get_objects())
        return Counter({str(kind): count for kind, count in kinds.items() if "voxmesh_coord" in str(kind)})

    answer, counts = says("This is one. ", "This is two."), list[Counter[str]]()
    async with (
        scripted(settings, answer, turn_reports_kept=5, history_characters=400) as (server, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config()) as stream:
            for turn in range(50):
                await stream.send(Request(text=f"This is turn {turn}."))
                await stream.until("turn_report")
                if turn in {19, 49}:
                    counts.append(held())
        told = [len(asked(server, number)) for number in range(50)]
    early, late = counts
    grown = {name: (early[name], late[name]) for name in late if late[name] > early[name] + 10}
    assert early
    assert not grown
    assert max(told[25:]) <= max(told[:25])
