"""Connections that fall silent without being closed: nobody waits for an end that will never answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from talking import question, reply_text, talk
from test_coordinator import says, scripted
from test_resume import Wire, wired

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_client.events import SessionReplaced

pytestmark = pytest.mark.mesh

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio

SENTENCES = [f"This is sentence number {number}. " for number in range(8)]


@asynccontextmanager
async def wire_to(target: str) -> AsyncGenerator[tuple[Wire, str]]:
    """A wire to a service, and the target of its near end."""
    async with wired(MeshSettings(coordinator_target=target)) as (wire, near):
        yield wire, near.coordinator_target or ""


async def test_a_recogniser_that_falls_silent_in_mid_question_is_reached_anew_and_hears_all_of_it(
    settings: MeshSettings,
) -> None:
    async with (
        wire_to(f"127.0.0.1:{settings.base_port + 2}") as (wire, near),
        scripted(settings, says("It is Paris."), stt_target=near) as (_, there),
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
