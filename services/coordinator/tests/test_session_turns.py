"""Taking and giving the turn: pauses, murmurs, coughs, echoes and interruptions."""

from __future__ import annotations

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_testing.virtual.llm import says
from voxmesh_testing.virtual.speech import say, silence
from voxmesh_testing.virtual.stage import mesh

pytestmark = pytest.mark.virtual

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport


async def test_a_spoken_turn() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("It is ", "Paris."))
        call.say(say("What is the capital of France?"))
        ended = await call.until(TurnEnded)
        await call.until(TurnReport)
        for t, e in zip(call.times, call.heard): print(round(t - 10000, 3), type(e).__name__, str(e)[:60].replace("\n", " "))
    assert ended.text == "What is the capital of France?"
    assert call.reply_text(0) == "It is Paris."


async def test_a_typed_turn() -> None:
    async with mesh() as there, there.chat() as call:
        there.llm.play(says("It is ", "Paris."))
        await call.ask("What?", 0)
    assert call.reply_text(0) == "It is Paris."
