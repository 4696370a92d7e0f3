"""Whatever dies at whatever moment of a spoken conversation, its client hears and reads the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_testing.virtual.caller import Caller
from voxmesh_testing.virtual.llm import Answer, FakeLanguageModel, says
from voxmesh_testing.virtual.speech import heard_in, say, silence
from voxmesh_testing.virtual.stage import ADDRESS, Stage, mesh
from voxmesh_testing.virtual.stt import FakeRecognizer
from voxmesh_testing.virtual.tts import FakeVoice
from voxmesh_testing.virtual.turn import FakeTurnDetector

pytestmark = [pytest.mark.virtual, pytest.mark.sweep]

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
ReplyAudio = conversation_pb2.ReplyAudio
ReplyFinished = conversation_pb2.ReplyFinished

QUESTIONS = ("What is the capital of France?", "And what can one see there?")
ANSWERS = ("It is Paris. It lies on the river Seine.", "There is a tower of iron. It is very high.")
FAKES: dict[str, Any] = {"turn": FakeTurnDetector, "stt": FakeRecognizer, "llm": FakeLanguageModel, "tts": FakeVoice}
MOMENTS = [0.4, 1.6, 2.9, 3.05, 3.4, 4.5, 6.6, 9.1]
"""Seconds from the start of the conversation; they lie all over both turns."""


def answering(asked: llm_pb2.Generate) -> Answer:
    """The answer to what was asked last, from where it was stopped."""
    is_going_on = asked.messages[-1].text.startswith("Go on exactly")
    told = asked.messages[-2].text if is_going_on else ""
    whole = ANSWERS[sum(message.role == llm_pb2.Message.ROLE_USER for message in asked.messages) - 1 - is_going_on]
    assert whole.startswith(told.rstrip())
    return says(*(f"{word} " for word in whole[len(told) :].split()), gap_s=0.08)


async def kill_coordinator(there: Stage) -> None:
    """A process dies, and the client finds another one."""
    await there.take_over()


async def drop_client(there: Stage) -> None:
    """A tunnel."""
    there.network.cut(ADDRESS)


def kill(slot: str) -> Callable[[Stage], Awaitable[None]]:
    """One of two backends dies."""

    async def die(there: Stage) -> None:
        there.network.kill(slot)

    return die


BREAKS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "the coordinator dies": kill_coordinator,
    "the client loses its connection": drop_client,
    "turn detection dies": kill("turn"),
    "the recogniser dies": kill("stt"),
    "the language model dies": kill("llm"),
    "the voice dies": kill("tts"),
}


async def converse(call: Caller) -> None:
    """Two spoken turns, each to the end of its reply's audio."""
    for turn, question in enumerate(QUESTIONS):
        call.say(silence(0.3) + say(question))
        await call.until(TurnReport, turn + 1)
        while call.loudspeaker.is_playing:  # noqa: ASYNC110 # as a person does
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("what", BREAKS)
async def test_whatever_breaks_at_any_moment_nothing_is_lost_and_nothing_doubled(what: str) -> None:
    for moment in MOMENTS:
        backends: dict[str, Any] = {f"{slot}_backends": [{"target": slot}, {"target": f"{slot}-2"}] for slot in FAKES}
        async with mesh("one", "two", **backends) as there:
            second = {slot: there.serve(f"{slot}-2", fake()) for slot, fake in FAKES.items()}
            for model in (there.llm, second["llm"]):
                model.play(answering)
            async with there.talk(plays=True, frame_s=0.1) as call:
                talking = asyncio.create_task(converse(call))
                await asyncio.sleep(moment)
                await BREAKS[what](there)
                await talking
        check(call, moment)


def check(call: Caller, moment: float) -> None:
    """What the client got, whatever happened."""
    assert [ended.text for ended in call.events(TurnEnded)] == list(QUESTIONS), moment
    for turn, answer in enumerate(ANSWERS):
        assert call.reply_text(turn).split() == answer.split(), moment
        assert heard_in(call.reply_audio(turn)) == answer, moment
    finished = [each.reason for each in call.events(ReplyFinished)]
    assert finished == [ReplyFinished.REASON_COMPLETED] * len(QUESTIONS), moment
    assert [report.turn_index for report in call.events(TurnReport)] == [0, 1], moment
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces))), moment
    assert not call.events(conversation_pb2.TurnFailed), moment
