"""Real services are killed in mid-turn, and others go on; every rule of it is tested in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psutil
import pytest
from processes import ServiceProcess
from talking import chat, question, reply_text, talk
from test_coordinator import coordinator, llm_proxy, says, scripted

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_routing.settings import BackendSettings
from voxmesh_testing.llm_server import recorded_upstream

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyText = conversation_pb2.ReplyText


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


async def test_a_recogniser_killed_in_mid_question_is_replaced_and_the_whole_question_heard(
    settings: MeshSettings,
) -> None:
    own = BackendSettings(target=f"127.0.0.1:{settings.base_port + 2}")
    async with (
        process("stt") as one,
        scripted(settings, says("It is Paris."), stt_backends=(BackendSettings(target=one.target), own)) as (_, there),
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
