"""Services are killed in mid-turn: with a second backend the turn is answered, with none it fails soon and by name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil
import pytest
from google.protobuf import struct_pb2
from processes import ServiceProcess
from talking import chat, question, reply_audio, reply_text, talk, transcribed
from test_coordinator import coordinator, llm_proxy, says, scripted

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_client.health import Health
from voxmesh_routing.backends import LEAST_PATIENCE_S
from voxmesh_routing.settings import BackendSettings
from voxmesh_runtime.channels import open_plain_channel
from voxmesh_testing.llm_server import Play, RecordedUpstream, fragment, recorded_upstream

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio
ReplyText = conversation_pb2.ReplyText
APPLIED = common_pb2.OptionOutcome.OUTCOME_APPLIED

Backends = tuple[BackendSettings, ...]

STORY = ("Once upon a time there was a king. ", *["He had three sons and they all went away. "] * 6)

LONG_STORY = "Tell me a very long story about a king and his three sons, with many adventures."


@asynccontextmanager
async def process(slot: str) -> AsyncGenerator[ServiceProcess]:
    """A service that runs and may be killed."""
    one = ServiceProcess(f"voxmesh_{slot}", log_level="ERROR")
    try:
        await one.start()
        yield one
    finally:
        await one.stop()


def upstream_of(one: ServiceProcess) -> psutil.Process:
    """The llama.cpp server that a language model service runs; found among its own children alone."""
    children = psutil.Process(one.pid).children()
    (found,) = (child for child in children if "voxmesh_llm_proxy.llama_server" in child.cmdline())
    return found


def first(one: ServiceProcess, settings: MeshSettings, slot: str) -> dict[str, Any]:
    """The coordinator's settings for a slot with two backends: a process, and the mesh's own service."""
    offset = {"turn": 1, "stt": 2, "tts": 3}[slot]
    second = f"127.0.0.1:{settings.base_port + offset}"
    return {f"{slot}_backends": (BackendSettings(target=one.target), BackendSettings(target=second))}


@asynccontextmanager
async def two_language_models() -> AsyncGenerator[tuple[RecordedUpstream, RecordedUpstream, Backends]]:
    """Two upstreams, each behind a proxy of its own, and the coordinator's settings for them."""
    async with (
        recorded_upstream() as one,
        recorded_upstream() as two,
        llm_proxy(one) as first_proxy,
        llm_proxy(two) as second_proxy,
    ):
        yield one, two, (BackendSettings(target=first_proxy), BackendSettings(target=second_proxy))


@pytest.mark.parametrize("slot", ["turn", "stt"])
async def test_a_listener_killed_in_mid_question_is_replaced_and_the_whole_question_heard(
    settings: MeshSettings, slot: str
) -> None:
    async with (
        process(slot) as one,
        scripted(settings, says("It is Paris."), **first(one, settings, slot)) as (_, there),
        talk(there) as call,
    ):
        call.say(question())
        await call.until(SpeechStarted)
        await asyncio.sleep(1.0)
        await one.stop()
        report = await call.until(TurnReport)
    assert not call.events(TurnFailed)
    (ended,) = call.events(TurnEnded)
    assert ended.text.lower().strip("?.") == "what is the capital of france"
    assert reply_text(call, 0) == "It is Paris."
    assert report.turn_index == 0


async def test_a_voice_killed_in_mid_reply_is_replaced_and_the_rest_is_said(settings: MeshSettings) -> None:
    async with (
        process("tts") as one,
        scripted(settings, says(*STORY, gap_s=0.5), **first(one, settings, "tts")) as (_, there),
        talk(there) as call,
    ):
        await call.conversation.send_text("Tell me a story.")
        await call.until(ReplyAudio, 10)
        await one.stop()
        await call.until(TurnReport)
        audio = reply_audio(call, 0)
    assert not call.events(TurnFailed)
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    offsets = [piece.offset.ToNanoseconds() for piece in pieces]
    assert offsets == sorted(offsets)
    heard = (await transcribed(settings, audio, 24_000)).lower()
    assert "king" in heard
    assert heard.count("three sons") >= len(STORY) - 2


async def test_a_language_model_killed_in_mid_reply_is_replaced_and_goes_on(settings: MeshSettings) -> None:
    async with (
        two_language_models() as (broken, whole, backends),
        coordinator(settings, llm_backends=backends) as (_, there),
        talk(there) as call,
    ):
        broken.play(says("Once upon a time ", finish=None))
        whole.play(says("there was a king."))
        await call.conversation.send_text("Tell me a story.")
        await call.until(TurnReport)
        asked = whole.requests[0]["messages"]
    assert not call.events(TurnFailed)
    assert reply_text(call, 0) == "Once upon a time there was a king."
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "user"]
    assert asked[2]["content"].strip() == "Once upon a time"


async def test_a_conversation_is_held_by_the_backend_for_its_purpose_as_long_as_that_is_well(
    settings: MeshSettings,
) -> None:
    async with (
        two_language_models() as (for_all, for_support, (first_proxy, second_proxy)),
        coordinator(
            settings, llm_backends=(first_proxy, second_proxy.model_copy(update={"purposes": ("support",)}))
        ) as (_, there),
        chat(there, purpose="support") as call,
    ):
        for_support.play(says("How may I help?"), says("Pardon", finish=None))
        for_all.play(says(" me?"))
        for turn in range(2):
            await call.conversation.send_text("Hello?")
            await call.until(TurnReport, turn + 1)
        own = call.conversation.session.services[-1]
    assert [option.field for option in own.options if option.outcome == APPLIED] == ["config.purpose"]
    assert (reply_text(call, 0), reply_text(call, 1)) == ("How may I help?", "Pardon me?")
    assert not call.events(TurnFailed)


async def test_a_language_model_that_dawdles_is_left_for_one_that_does_not(settings: MeshSettings) -> None:
    async with (
        two_language_models() as (slow, quick, backends),
        coordinator(settings, llm_backends=backends) as (_, there),
        talk(there) as call,
    ):
        slow.play(says("Yes."))
        for turn in range(6):
            await call.conversation.send_text("Are you there?")
            await call.until(TurnReport, turn + 1)
        slow.play(says("Late.", pause_s=60.0))
        quick.play(says("Here I am."))
        await call.conversation.send_text("And now?")
        await call.until(TurnReport, 7)
    assert reply_text(call, 5) == "Yes."
    assert reply_text(call, 6) == "Here I am."


async def test_a_turn_with_only_a_slow_tool_call_is_nobodys_failure(
    settings: MeshSettings, caplog: pytest.LogCaptureFixture
) -> None:
    tool = conversation_pb2.Tool(name="lights_off", description="Turn off the light", parameters=struct_pb2.Struct())
    wants = Play([fragment(0, "{}", "lights_off", "call-1")], finish="tool_calls")
    voices = tuple(BackendSettings(target=target) for target in (f"127.0.0.1:{settings.base_port + 3}", "127.0.0.1:9"))
    async with (
        two_language_models() as (one, other, backends),
        coordinator(settings, llm_backends=backends, tts_backends=voices) as (_, there),
        talk(there, tools=[tool]) as call,
    ):
        one.play(says("Yes."))
        other.play(says("No."))
        for turn in range(6):
            await call.conversation.send_text("Are you there?")
            await call.until(TurnReport, turn + 1)
        one.play(wants, Play(), says("It is dark."))
        await call.conversation.send_text("Turn off the light.")
        wanted = await call.until(conversation_pb2.ToolCall)
        await asyncio.sleep(LEAST_PATIENCE_S + 0.5)
        await call.conversation.send_tool_result(conversation_pb2.ToolResult(call_id=wanted.call_id, content="ok"))
        await call.until(TurnReport, 7)
        await call.conversation.send_text("Is it dark?")
        await call.until(TurnReport, 8)
        assert not other.requests
    assert "a backend is left" not in caplog.messages
    assert not call.events(TurnFailed)
    assert (reply_text(call, 6), reply_text(call, 7)) == ("", "It is dark.")
    assert reply_audio(call, 7)


@pytest.mark.parametrize("slot", ["turn", "stt"])
async def test_without_a_second_backend_the_turn_fails_soon_and_the_next_works_once_it_is_back(
    settings: MeshSettings, slot: str
) -> None:
    async with (
        process(slot) as one,
        scripted(settings, says(*STORY, gap_s=0.5), **{f"{slot}_target": one.target}) as (_, there),
        talk(there) as call,
    ):
        call.say(question())
        await call.until(SpeechStarted)
        await one.stop()
        killed_at = time.monotonic()
        failed = await call.until(TurnFailed)
        took_s = time.monotonic() - killed_at
        await one.start()
        await asyncio.sleep(1.0)
        call.say(question())
        await call.until(TurnReport, where=lambda report: report.first_audio_time.seconds > 0)
        await call.conversation.interrupt()
    assert failed.code == 14
    assert f"{slot} at {one.target}" in failed.message
    # Two seconds are the goal; the rest is for a machine that is busy with other things.
    assert took_s < 6


async def test_a_reply_is_finished_by_another_backend_when_llama_cpp_is_killed_in_the_midst_of_it(
    settings: MeshSettings,
) -> None:
    async with (
        process("llm_proxy") as one,
        recorded_upstream() as other,
        llm_proxy(other) as second,
        coordinator(
            settings,
            llm_backends=(BackendSettings(target=one.target), BackendSettings(target=second)),
            max_reply_tokens=1000,
        ) as (_, there),
        chat(there) as call,
    ):
        other.play(says("and they lived ", "happily ever after."))
        await call.conversation.send_text(LONG_STORY)
        await call.until(ReplyText, 10)
        upstream_of(one).kill()
        await call.until(TurnReport)
        asked = other.requests[0]["messages"]
    assert not call.events(TurnFailed)
    told_before = reply_text(call, 0).removesuffix("and they lived happily ever after.")
    assert told_before != reply_text(call, 0)
    # What the other one was told that it had said is what the person was told, to the letter.
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "user"]
    assert asked[2]["content"] == told_before


async def test_without_a_second_backend_the_turn_fails_soon_while_llama_cpp_is_down_and_the_next_works_once_it_is_back(
    settings: MeshSettings,
) -> None:
    async with (
        process("llm_proxy") as one,
        coordinator(settings, llm_target=one.target, max_reply_tokens=1000) as (_, there),
        chat(there) as call,
    ):
        await call.conversation.send_text(LONG_STORY)
        await call.until(ReplyText, 10)
        async with kept_down(one):
            killed_at = time.monotonic()
            failed = await call.until(TurnFailed)
            took_s = time.monotonic() - killed_at
            await one.until(Health.NOT_SERVING)
        await one.until(Health.SERVING)
        await call.conversation.send_text("What is the capital of France?")
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
    assert failed.code == 14
    assert f"llm at {one.target}" in failed.message
    assert reply_text(call, 1)
    assert len(call.events(TurnFailed)) == 1
    # As above: two seconds are the goal.
    assert took_s < 6


@asynccontextmanager
async def kept_down(one: ServiceProcess) -> AsyncGenerator[None]:
    """Kill the llama.cpp server of a language model service, and each that is started in its place."""

    async def kill() -> None:
        while True:
            # Between two of them there is none.
            with suppress(ValueError, psutil.Error):
                upstream_of(one).kill()
            await asyncio.sleep(0.02)

    killing = asyncio.create_task(kill())
    try:
        yield
    finally:
        killing.cancel()


async def test_a_backend_that_is_well_again_is_used_again(settings: MeshSettings) -> None:
    async with (
        process("stt") as one,
        scripted(settings, says("Yes."), **first(one, settings, "stt")) as (_, there),
        talk(there) as call,
    ):
        await one.stop()
        call.say(question())
        await call.until(TurnReport)
        await one.start()
        async with asyncio.timeout(120):
            while await streams_at(one.target) == 0:
                await call.conversation.send_text("Are you there?")
                await call.until(TurnReport, len(call.events(TurnReport)) + 1)
    assert not call.events(TurnFailed)


async def test_a_session_moves_to_the_backend_for_the_language_that_is_heard(settings: MeshSettings) -> None:
    english = BackendSettings(target=f"127.0.0.1:{settings.base_port + 2}", languages=("en",))
    async with process("stt") as one:
        # Of the same kind, but not meant for English: what counts is where the session goes.
        backends = (BackendSettings(target=one.target, languages=("kn",)), english)
        async with scripted(settings, says("Yes."), stt_backends=backends) as (_, there), talk(there) as call:
            before = await streams_at(one.target)
            for turn in range(3):
                call.say(question())
                await call.until(TurnReport, turn + 1)
            after = await streams_at(one.target)
    assert (before, after) == (1, 0)
    assert not call.events(TurnFailed)


async def streams_at(target: str) -> int:
    """Streams open at a recogniser."""
    # A plain channel: those of the mesh in one process share their waits between attempts to connect.
    async with open_plain_channel(target) as channel:
        stub = stt_pb2_grpc.SpeechToTextServiceStub(channel)
        return (await stub.GetModelInfo(stt_pb2.GetModelInfoRequest())).model_info.active_streams


async def test_the_client_is_told_of_another_server_and_how_it_takes_the_config(settings: MeshSettings) -> None:
    async with (
        recorded_upstream() as one,
        recorded_upstream() as two,
        llm_proxy(one, host_name="near") as near,
        llm_proxy(two, host_name="far") as far,
        coordinator(settings, llm_backends=(BackendSettings(target=near), BackendSettings(target=far))) as (_, there),
        chat(there) as call,
    ):
        one.play(says("Once upon a time ", finish=None))
        two.play(says("there was a king."))
        await call.conversation.send_text("Tell me a story.")
        await call.until(TurnReport)
        await call.conversation.send_text("And then?")
        await call.until(TurnReport, 2)
        (changed,) = call.events(conversation_pb2.ServiceChanged)
    told = call.conversation.session
    assert [service.host for service in told.services if service.engine == changed.ready.engine] == ["near"]
    assert (changed.slot, changed.ready.host) == ("llm", "far")
    assert {option.field for option in changed.ready.options} >= {"config.sampling.temperature"}
    order = [type(event) for event in call.heard]
    assert order.index(conversation_pb2.ServiceChanged) < order.index(TurnReport)
