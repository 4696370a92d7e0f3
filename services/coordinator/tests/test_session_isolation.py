"""Sessions at once, over two hundred turns: histories, transcripts, replies and reports never mix."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_testing.virtual.caller import Caller
from voxmesh_testing.virtual.llm import Answer, says
from voxmesh_testing.virtual.speech import heard_in, say, silence
from voxmesh_testing.virtual.stage import mesh

pytestmark = [pytest.mark.virtual, pytest.mark.sweep]

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
NAMES = ("ada", "bob")
TURNS = 100


def sentence(name: str, turn: int) -> str:
    """What a person says in one turn; it names the session."""
    return f"{name} says {' '.join(str(turn))}."


def answering(asked: llm_pb2.Generate) -> Answer:
    """An answer that quotes what it answers."""
    return says("I heard: ", asked.messages[-1].text)


async def speak(call: Caller, name: str) -> None:
    """A hundred spoken turns; the next is begun as soon as the reply to the one before has been heard."""
    for turn in range(TURNS):
        call.say(silence(0.5) + say(sentence(name, turn)))
        await call.until(TurnReport, turn + 1)
        while call.loudspeaker.is_playing:  # noqa: ASYNC110 # as a person does
            await asyncio.sleep(0.2)


async def test_two_hundred_spoken_turns_of_two_sessions_keep_apart() -> None:
    how: dict[str, Any] = {"frame_s": 0.1, "plays": True, "interim_results": True}
    async with mesh() as there, there.talk(**how) as ada, there.talk(**how) as bob:
        there.llm.play(answering)
        await asyncio.gather(speak(ada, "ada"), speak(bob, "bob"))
        request = conversation_pb2.ListTurnReportsRequest(limit=1000)
        listed: Any = await there.stub().ListTurnReports(request)
        asked = list(there.llm.asked)
    for generate in asked:
        said = " ".join(each.text for each in generate.messages if each.role == llm_pb2.Message.ROLE_USER)
        assert len(set(re.findall(r"(\w+) says", said))) == 1
    for name, call in zip(NAMES, (ada, bob), strict=True):
        turns = [sentence(name, turn) for turn in range(TURNS)]
        assert [ended.text for ended in call.events(TurnEnded)] == turns
        replies = [f"I heard: {text}" for text in turns]
        assert [call.reply_text(turn) for turn in range(TURNS)] == replies
        assert [heard_in(call.reply_audio(turn)) for turn in range(TURNS)] == replies
        assert [report.turn_index for report in call.events(TurnReport)] == list(range(TURNS))
        session_id = call.conversation.session.session_id
        kept = [each.report.turn_index for each in listed.turns if each.session_id == session_id]
        assert kept == list(range(TURNS))
        assert not call.events(conversation_pb2.TurnFailed)


async def test_two_hundred_typed_turns_of_four_sessions_keep_apart() -> None:
    names = ("ada", "bob", "cleo", "dora")

    async def converse(call: Caller, name: str) -> None:
        for turn in range(50):
            await call.ask(sentence(name, turn), turn)

    async with mesh() as there, there.chat() as a, there.chat() as b, there.chat() as c, there.chat() as d:
        there.llm.play(answering)
        calls = dict(zip(names, (a, b, c, d), strict=True))
        await asyncio.gather(*(converse(call, name) for name, call in calls.items()))
        asked = list(there.llm.asked)
    assert len(asked) == 200
    for generate in asked:
        said = " ".join(each.text for each in generate.messages if each.role == llm_pb2.Message.ROLE_USER)
        assert len(set(re.findall(r"(\w+) says", said))) == 1
    for name, call in calls.items():
        turns = [sentence(name, turn) for turn in range(50)]
        assert [ended.text for ended in call.events(TurnEnded)] == turns
        assert [call.reply_text(turn) for turn in range(50)] == [f"I heard: {text}" for text in turns]
        assert [report.turn_index for report in call.events(TurnReport)] == list(range(50))
