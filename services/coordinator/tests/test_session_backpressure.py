"""Nobody makes more than somebody takes: the voice waits for the client, the language model for the voice."""

from __future__ import annotations

import asyncio

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_testing.streams import exchange, wait_until
from voxmesh_testing.virtual.llm import says
from voxmesh_testing.virtual.speech import heard_in, say
from voxmesh_testing.virtual.stage import mesh

pytestmark = pytest.mark.virtual

Request = conversation_pb2.ConverseRequest
TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport

SENTENCES = [f"This is sentence number {' '.join(str(number))}. " for number in range(60)]
"""Two and a half minutes of speech."""
HELD_S = 20.0
"""Reply audio that a coordinator holds at most."""
ON_ITS_WAY_S = 10.0
"""More than fits into the queues and windows on the way, in seconds of audio."""


async def test_a_client_that_reads_nothing_holds_its_own_reply_back_and_no_other() -> None:
    config = Request(config=conversation_pb2.ConversationConfig())
    async with mesh() as there, exchange(there.stub().Converse, config) as stream:
        there.tts.pace = 100.0
        there.llm.play(says(*SENTENCES), says("Yes."))
        await stream.until("session_started")
        await stream.send(Request(text="Tell me everything."))
        await asyncio.sleep(25)
        made_s = there.tts.made_s
        async with there.talk() as other:
            await other.ask("Are you there?", 0)
        await stream.until("turn_report")
        pieces = [each.reply_audio.data for each in stream.seen if each.HasField("reply_audio")]
    assert made_s < HELD_S + ON_ITS_WAY_S
    assert heard_in(b"".join(pieces)) == "".join(SENTENCES).strip()


async def test_of_a_reply_that_is_prepared_no_more_is_made_than_may_be_held() -> None:
    async with mesh(min_end_of_turn_wait_s=9, max_end_of_turn_wait_s=10) as there, there.talk() as call:
        there.tts.pace = 100.0
        there.llm.play(says(*SENTENCES))
        call.say(say("Please tell me everything."))
        await wait_until(lambda: bool(there.llm.asked))
        await asyncio.sleep(6)
        assert not call.events(TurnEnded)
        made_s = there.tts.made_s
        await call.until(TurnReport)
    assert HELD_S <= made_s < HELD_S + ON_ITS_WAY_S
    assert heard_in(call.reply_audio(0)) == "".join(SENTENCES).strip()


async def test_of_a_reply_that_is_held_while_a_murmur_is_judged_no_more_is_made_than_may_be_held() -> None:
    async with mesh() as there, there.talk() as call:
        there.tts.pace = 100.0
        there.llm.play(says(*SENTENCES, gap_s=0.05))
        await call.conversation.send_text("Tell me everything.")
        await call.until(conversation_pb2.ReplyAudio)
        there.stt.stand_still()
        call.say(say("Yes yes yes yes"))
        await call.until(conversation_pb2.Duck)
        made_s = there.tts.made_s
        await asyncio.sleep(6)
        assert there.tts.made_s < made_s + HELD_S + ON_ITS_WAY_S
        there.stt.go_on()
        await call.until(TurnReport)
    assert heard_in(call.reply_audio(0)) == "".join(SENTENCES).strip()
