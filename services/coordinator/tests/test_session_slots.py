"""C15: what the coordinator says of the services behind it, and how conversations go on without some of them."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_testing.streams import details, exchange
from voxmesh_testing.virtual.caller import Caller
from voxmesh_testing.virtual.llm import says
from voxmesh_testing.virtual.speech import say
from voxmesh_testing.virtual.stage import SLOTS, mesh

pytestmark = pytest.mark.virtual

Request = conversation_pb2.ConverseRequest
SlotStatus = conversation_pb2.SlotStatus
TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio
DOWN, DEGRADED, SERVING = SlotStatus.STATE_DOWN, SlotStatus.STATE_DEGRADED, SlotStatus.STATE_SERVING

STORY = [f"This is sentence number {number}. " for number in ("one", "two", "three", "four", "five", "six")]
QUESTION = "What is the capital of France?"


def states(call: Caller) -> list[tuple[str, SlotStatus.State.ValueType]]:
    """What the client was told of slots."""
    return [(status.slot, status.state) for status in call.events(SlotStatus)]


async def test_status_names_each_slot_its_backends_and_what_is_wrong() -> None:
    async with mesh(llm_backends=[{"target": "llm"}, {"target": "nobody"}]) as there:
        for slot in ("turn", "stt", "vlm"):
            there.network.kill(slot)
        call: Any = there.stub().GetStatus(conversation_pb2.GetStatusRequest())
        told: conversation_pb2.GetStatusResponse = await call
    assert [(slot.slot, slot.state) for slot in told.slots] == [
        ("turn", DOWN),
        ("stt", DOWN),
        ("llm", DEGRADED),
        ("tts", SERVING),
        ("vlm", DOWN),
    ]
    backends = [(backend.target, backend.is_well) for backend in told.slots[2].backends]
    assert backends == [("llm", True), ("nobody", False)]
    assert "is it running" in told.slots[2].reason
    assert told.slots[0].reason.startswith("only typed turns work: turn at turn: ")
    assert not told.slots[3].reason
    assert told.host == "one"


async def test_without_a_voice_a_session_answers_in_text_and_speaks_again_once_the_voice_is_back() -> None:
    async with mesh() as there:
        server = there.network.kill("tts")
        there.llm.play(says("It is Paris."))
        async with there.chat(text_replies_only=False) as call:
            first = await call.until(SlotStatus)
            await call.ask(QUESTION, 0)
            assert not call.events(ReplyAudio)
            there.network.restart(server)
            await call.until(SlotStatus, 2)
            await call.ask("Again, please.", 1)
    assert states(call) == [("tts", DOWN), ("tts", SERVING)]
    assert first.reason.startswith("replies are text alone: tts at tts: not reachable")
    assert call.heard[0] == first
    assert not call.events(TurnFailed)
    assert (call.reply_text(0), call.reply_text(1)) == ("It is Paris.", "It is Paris.")
    assert call.reply_audio(1)


async def test_a_voice_that_dies_in_mid_reply_leaves_the_rest_in_text() -> None:
    async with mesh() as there, there.chat(text_replies_only=False) as call:
        there.llm.play(says(*STORY, gap_s=0.2), says("Good."))
        await call.conversation.send_text("Tell me a story.")
        await call.until(ReplyAudio)
        there.network.kill("tts")
        await call.until(TurnReport)
        await call.ask("Thank you.", 1)
        messages = there.llm.messages(-1)
    assert states(call) == [("tts", DOWN)]
    assert not call.events(TurnFailed)
    assert call.reply_text(0) == "".join(STORY)
    pieces = call.events(ReplyAudio)
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert [message.text.strip() for message in messages[1:]] == [
        "Tell me a story.",
        "".join(STORY).strip(),
        "Thank you.",
    ]
    assert call.reply_text(1) == "Good."


async def test_of_a_reply_in_text_that_is_stopped_the_history_keeps_what_was_shown() -> None:
    async with mesh() as there:
        there.network.kill("tts")
        there.llm.play(says("Once upon a time. ", "Nobody reads this.", gap_s=60.0), says("Yes."))
        async with there.chat(text_replies_only=False) as call:
            await call.conversation.send_text("Tell me a story.")
            await call.until(conversation_pb2.ReplyText)
            await call.conversation.interrupt()
            interrupted = await call.until(conversation_pb2.Interrupted)
            await call.ask("Are you there?", 1)
            messages = there.llm.messages(-1)
    assert interrupted.heard_text == "Once upon a time."
    assert (messages[-2].role, messages[-2].text) == (llm_pb2.Message.ROLE_ASSISTANT, "Once upon a time.")


async def test_without_a_language_model_a_session_is_refused_and_asked_to_come_again() -> None:
    async with mesh() as there:
        for slot in SLOTS:
            there.network.kill(slot)
        config = conversation_pb2.ConversationConfig(text_replies_only=True)
        async with exchange(there.stub().Converse, Request(config=config)) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "llm at llm" in str(error.details())
    assert [type(detail) for detail in details(error)] == [error_details_pb2.RetryInfo]


async def test_a_voice_that_refuses_the_config_refuses_the_session() -> None:
    async with mesh() as there:
        config = conversation_pb2.ConversationConfig(voice="nobody")
        async with exchange(there.stub().Converse, Request(config=config)) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("slot", ["turn", "stt"])
async def test_without_a_listener_typed_turns_work_and_speech_is_heard_once_it_is_back(slot: str) -> None:
    async with mesh() as there:
        server = there.network.kill(slot)
        there.llm.play(says("Yes."))
        async with there.talk() as call:
            await call.until(SlotStatus)
            await call.ask("Are you there?", 0)
            there.network.restart(server)
            await call.until(SlotStatus, 2)
            call.say(say(QUESTION))
            ended = await call.until(TurnEnded, 2)
            await call.until(TurnReport, 2)
    assert states(call)[:2] == [(slot, DOWN), (slot, SERVING)]
    assert not call.events(TurnFailed)
    assert ended.text == QUESTION
