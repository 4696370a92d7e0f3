"""Connections that fall silent without being closed: nobody waits for an end that will never answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from talking import question, reply_text, talk
from test_coordinator import coordinator, llm_proxy, says, scripted
from test_resume import Wire, wired

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_client.events import SessionReplaced
from voxmesh_testing.llm_server import recorded_upstream

pytestmark = pytest.mark.mesh

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio
ReplyText = conversation_pb2.ReplyText

SENTENCES = [f"This is sentence number {number}. " for number in range(8)]


@asynccontextmanager
async def wire_to(target: str) -> AsyncGenerator[tuple[Wire, str]]:
    """A wire to a service, and the target of its near end."""
    async with wired(MeshSettings(coordinator_target=target)) as (wire, near):
        yield wire, near.coordinator_target or ""


@pytest.mark.parametrize("slot", ["turn", "stt"])
async def test_a_listener_that_falls_silent_in_mid_question_is_reached_anew_and_hears_all_of_it(
    settings: MeshSettings, slot: str
) -> None:
    offset = {"turn": 1, "stt": 2}[slot]
    async with (
        wire_to(f"127.0.0.1:{settings.base_port + offset}") as (wire, near),
        scripted(settings, says("It is Paris."), **{f"{slot}_target": near}) as (_, there),
        talk(there) as call,
    ):
        call.say(question())
        await call.until(SpeechStarted)
        await asyncio.sleep(0.7)
        wire.fall_silent()
        await call.until(TurnReport)
    assert not call.events(TurnFailed)
    (ended,) = call.events(TurnEnded)
    assert ended.text.lower().strip("?.") == "what is the capital of france"
    assert reply_text(call, 0) == "It is Paris."


async def test_a_voice_that_falls_silent_in_mid_reply_is_reached_anew_and_says_the_rest(settings: MeshSettings) -> None:
    async with (
        wire_to(f"127.0.0.1:{settings.base_port + 3}") as (wire, near),
        scripted(settings, says(*SENTENCES, gap_s=0.5), tts_target=near) as (_, there),
        talk(there) as call,
    ):
        await call.conversation.send_text("Count, please.")
        await call.until(ReplyAudio, 5)
        wire.fall_silent()
        await call.until(TurnReport)
    assert not call.events(TurnFailed)
    assert reply_text(call, 0) == "".join(SENTENCES)
    assert call.events(ReplyAudio)[-1].is_last


async def test_a_language_model_that_falls_silent_in_mid_reply_is_reached_anew_and_goes_on(
    settings: MeshSettings,
) -> None:
    async with (
        recorded_upstream() as server,
        llm_proxy(server) as proxy,
        wire_to(proxy) as (wire, near),
        coordinator(settings, llm_target=near) as (_, there),
        talk(there) as call,
    ):
        server.play(says("Once upon a time ", "nobody hears this.", gap_s=30.0), says("there was a king."))
        await call.conversation.send_text("Tell me a story.")
        await call.until(ReplyText)
        wire.fall_silent()
        await call.until(TurnReport)
    assert not call.events(TurnFailed)
    assert reply_text(call, 0) == "Once upon a time there was a king."


async def test_a_client_whose_link_falls_silent_in_mid_answer_comes_back_and_misses_nothing(
    settings: MeshSettings,
) -> None:
    async with (
        scripted(settings, says(*SENTENCES, gap_s=0.4)) as (_, there),
        wired(there) as (wire, far),
        talk(far) as call,
    ):
        await call.conversation.send_text("Count, please.")
        await call.until(ReplyAudio, 5)
        wire.fall_silent()
        replaced = await call.until(SessionReplaced)
        await call.until(TurnReport)
    assert replaced.resumed
    assert reply_text(call, 0) == "".join(SENTENCES)
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    assert pieces[-1].is_last
