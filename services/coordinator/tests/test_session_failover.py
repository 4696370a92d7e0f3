"""Services that die, dawdle, fall silent or fit better: the conversation goes on with nothing lost or said twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_client.events import SessionReplaced, SpeechStarted
from voxmesh_routing.failover import STANDS_STILL_S
from voxmesh_runtime.errors import Unavailable
from voxmesh_testing.virtual.caller import Caller
from voxmesh_testing.virtual.llm import FakeLanguageModel, calls, says
from voxmesh_testing.virtual.speech import heard_in, say, silence
from voxmesh_testing.virtual.stage import Stage, mesh
from voxmesh_testing.virtual.stt import FakeRecognizer
from voxmesh_testing.virtual.tts import FakeVoice
from voxmesh_testing.virtual.turn import FakeTurnDetector

pytestmark = pytest.mark.virtual

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio
ReplyText = conversation_pb2.ReplyText
ServiceChanged = conversation_pb2.ServiceChanged
ToolCall = conversation_pb2.ToolCall
Role = llm_pb2.Message

QUESTION = "What is the capital of France?"
STORY = ("Once upon a time there was a king. ", *["He had three sons and they all went away. "] * 6)
SENTENCES = [f"This is sentence number {number}. " for number in range(8)]
FAKES = {"turn": FakeTurnDetector, "stt": FakeRecognizer, "llm": FakeLanguageModel, "tts": FakeVoice}


def two(slot: str, **second: Any) -> dict[str, Any]:
    """The coordinator's settings for a slot with two backends."""
    return {f"{slot}_backends": [{"target": slot}, {"target": f"{slot}-2", **second}]}


def second_of(there: Stage, slot: str, **how: Any) -> Any:
    """Start the second backend of a slot."""
    return there.serve(f"{slot}-2", FAKES[slot](**how))


def roles(messages: list[llm_pb2.Message]) -> Iterator[str]:
    """Who says what."""
    return (Role.Role.Name(message.role).removeprefix("ROLE_").lower() for message in messages)


def check_sequences(call: Caller) -> None:
    """Pieces of reply audio are numbered without gaps, and each follows the one before it."""
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    end_s = 0.0
    for piece in pieces:
        assert piece.offset.ToNanoseconds() / 1e9 == pytest.approx(end_s, abs=0.002)
        end_s += len(piece.data) / 48_000
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]


@pytest.mark.parametrize("slot", ["turn", "stt"])
@pytest.mark.parametrize("after_s", [0.1, 0.7, 1.0, 2.0, 2.6], ids=str)
async def test_a_listener_killed_in_mid_question_is_replaced_and_the_whole_question_heard(
    slot: str, after_s: float
) -> None:
    async with mesh(**two(slot)) as there, there.talk() as call:
        second_of(there, slot)
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        await call.until(SpeechStarted)
        await asyncio.sleep(after_s)
        there.network.kill(slot)
        report = await call.until(TurnReport)
    assert not call.events(TurnFailed)
    (ended,) = call.events(TurnEnded)
    assert ended.text == QUESTION
    assert call.reply_text(0) == "It is Paris."
    assert report.turn_index == 0


async def test_a_voice_killed_in_mid_reply_is_replaced_and_the_rest_is_said() -> None:
    async with mesh(**two("tts")) as there, there.talk() as call:
        second_of(there, "tts")
        there.llm.play(says(*STORY, gap_s=0.5))
        await call.conversation.send_text("Tell me a story.")
        await call.until(ReplyAudio, 10)
        there.network.kill("tts")
        await call.until(TurnReport)
    assert not call.events(TurnFailed)
    check_sequences(call)
    assert heard_in(call.reply_audio(0)) == "".join(STORY).strip()


@pytest.mark.parametrize("how", ["its stream breaks", "it is killed", "it falls silent"])
async def test_a_language_model_that_breaks_in_mid_reply_is_replaced_and_goes_on(how: str) -> None:
    async with mesh(**two("llm")) as there, there.talk() as call:
        second = second_of(there, "llm")
        is_alive = how != "its stream breaks"
        there.llm.play(
            says("Once upon a time ", *(["nobody hears this."] if is_alive else []), gap_s=30.0, reason=None)
        )
        second.play(says("there was a king."))
        await call.conversation.send_text("Tell me a story.")
        await call.until(ReplyText)
        if how == "it is killed":
            there.network.kill("llm")
        elif how == "it falls silent":
            there.network.fall_silent("llm")
        await call.until(TurnReport)
        asked = second.messages(0)
    assert not call.events(TurnFailed)
    assert call.reply_text(0) == "Once upon a time there was a king."
    assert list(roles(asked)) == ["system", "user", "assistant", "user"]
    assert asked[2].text.strip() == "Once upon a time"


async def test_a_conversation_is_held_by_the_backend_for_its_purpose_as_long_as_that_is_well() -> None:
    async with mesh(**two("llm", purposes=["support"])) as there:
        for_support = second_of(there, "llm")
        for_support.play(says("How may I help?"), says("Pardon", reason=None))
        there.llm.play(says(" me?"))
        async with there.chat(purpose="support") as call:
            for turn in range(2):
                await call.ask("Hello?", turn)
            own = call.conversation.session.services[-1]
    applied = common_pb2.OptionOutcome.OUTCOME_APPLIED
    assert [option.field for option in own.options if option.outcome == applied] == ["config.purpose"]
    assert (call.reply_text(0), call.reply_text(1)) == ("How may I help?", "Pardon me?")
    assert not call.events(TurnFailed)


async def test_a_language_model_that_dawdles_is_left_for_one_that_does_not() -> None:
    async with mesh(**two("llm")) as there, there.talk() as call:
        second = second_of(there, "llm")
        there.llm.play(says("Yes."))
        for turn in range(6):
            await call.ask("Are you there?", turn)
        there.llm.play(says("Late.", pause_s=60.0))
        second.play(says("Here I am."))
        await call.ask("And now?", 6)
    assert call.reply_text(5) == "Yes."
    assert call.reply_text(6) == "Here I am."


async def test_a_recogniser_that_dawdles_is_left_for_one_that_does_not() -> None:
    async with mesh(**two("stt")) as there, there.talk(speculation=False) as call:
        second_of(there, "stt")
        for turn in range(6):
            call.say(say(QUESTION))
            await call.until(TurnReport, turn + 1)
        there.stt.finalize_s = 60.0
        call.say(say("And of Italy?"))
        await call.until(TurnReport, 7)
    assert call.events(TurnEnded)[-1].text == "And of Italy?"
    assert not call.events(TurnFailed)


async def test_a_turn_with_only_a_slow_tool_call_is_nobodys_failure(caplog: pytest.LogCaptureFixture) -> None:
    tool = conversation_pb2.Tool(name="lights_off", description="Turn off the light", parameters=struct_pb2.Struct())
    async with mesh(**two("llm"), **two("tts")) as there, there.talk(tools=[tool]) as call:
        other = second_of(there, "llm")
        there.llm.play(says("Yes."))
        for turn in range(6):
            await call.ask("Are you there?", turn)
        there.llm.play(calls("lights_off", "{}"), says(), says("It is dark."))
        await call.conversation.send_text("Turn off the light.")
        wanted = await call.until(ToolCall)
        await asyncio.sleep(10)
        await call.conversation.send_tool_result(conversation_pb2.ToolResult(call_id=wanted.call_id, content="ok"))
        await call.until(TurnReport, 7)
        await call.ask("Is it dark?", 7)
        assert not other.asked
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not call.events(TurnFailed)
    assert (call.reply_text(6), call.reply_text(7)) == ("", "It is dark.")
    assert call.reply_audio(7)


@pytest.mark.parametrize("slot", ["turn", "stt"])
async def test_without_a_second_backend_the_turn_fails_soon_and_the_next_works_once_it_is_back(slot: str) -> None:
    async with mesh() as there, there.talk() as call:
        loop = asyncio.get_running_loop()
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        await call.until(SpeechStarted)
        server = there.network.kill(slot)
        killed_at = loop.time()
        failed = await call.until(TurnFailed)
        took_s = loop.time() - killed_at
        there.network.restart(server)
        await asyncio.sleep(1.0)
        call.say(silence(0.5) + say(QUESTION))
        await call.until(TurnReport, where=lambda report: report.first_audio_time.seconds > 0)
    assert failed.code == 14
    assert f"{slot} at {slot}" in failed.message
    assert took_s <= 2


async def test_without_a_second_language_model_the_turn_fails_soon_and_the_next_works_once_it_is_back() -> None:
    async with mesh() as there, there.chat() as call:
        loop = asyncio.get_running_loop()
        there.llm.play(says("Once upon a time ", "nobody hears this.", gap_s=30.0), says("It is Paris."))
        await call.conversation.send_text("Tell me a story.")
        await call.until(ReplyText)
        server = there.network.kill("llm")
        killed_at = loop.time()
        failed = await call.until(TurnFailed)
        took_s = loop.time() - killed_at
        there.network.restart(server)
        await call.ask("What is the capital of France?", 1)
    assert failed.code == 14
    assert "llm at llm" in failed.message
    assert call.reply_text(1)
    assert len(call.events(TurnFailed)) == 1
    assert took_s <= 2


async def test_a_backend_that_is_well_again_is_used_again() -> None:
    async with mesh(**two("stt")) as there, there.talk() as call:
        second = second_of(there, "stt")
        there.llm.play(says("Yes."))
        server = there.network.kill("stt")
        call.say(say(QUESTION))
        await call.until(TurnReport)
        assert (there.stt.streams.active_count, second.streams.active_count) == (0, 1)
        there.network.restart(server)
        await asyncio.sleep(15)
        await call.ask("Are you there?", 1)
        await asyncio.sleep(1)
        assert (there.stt.streams.active_count, second.streams.active_count) == (1, 0)
    assert not call.events(TurnFailed)


async def test_a_session_moves_to_the_backend_for_the_language_that_is_heard() -> None:
    backends = [{"target": "stt-2", "languages": ["kn"]}, {"target": "stt", "languages": ["en"]}]
    async with mesh(stt_backends=backends) as there:
        kannada = second_of(there, "stt")
        kannada.language_code = there.stt.language_code = "en"
        async with there.talk() as call:
            before = kannada.streams.active_count
            for turn in range(3):
                call.say(say(QUESTION))
                await call.until(TurnReport, turn + 1)
            after = kannada.streams.active_count
    assert (before, after) == (1, 0)
    assert not call.events(TurnFailed)


async def test_the_client_is_told_of_another_server_and_how_it_takes_the_config() -> None:
    async with mesh(**two("llm")) as there:
        there.llm.host = "near"
        far = second_of(there, "llm", host="far")
        there.llm.play(says("Once upon a time ", reason=None))
        far.play(says("there was a king."))
        async with there.chat() as call:
            await call.ask("Tell me a story.", 0)
            await call.ask("And then?", 1)
            (changed,) = call.events(ServiceChanged)
    told = call.conversation.session
    assert [service.host for service in told.services if service.engine == changed.ready.engine] == ["near"]
    assert (changed.slot, changed.ready.host) == ("llm", "far")
    assert {option.field for option in changed.ready.options} >= {"config.sampling.temperature"}
    order = [type(event) for event in call.heard]
    assert order.index(ServiceChanged) < order.index(TurnReport)


async def test_a_service_that_drains_is_left_between_turns() -> None:
    async with mesh(**two("stt")) as there, there.talk() as call:
        second = second_of(there, "stt")
        call.say(say(QUESTION))
        await call.until(SpeechStarted)
        draining = asyncio.create_task(there.stt.streams.drain())
        await call.until(TurnReport)
        await draining
        call.say(silence(0.5) + say("And of Italy?"))
        await call.until(TurnReport, 2)
        assert second.streams.active_count == 1
    assert [ended.text for ended in call.events(TurnEnded)] == [QUESTION, "And of Italy?"]
    assert not call.events(TurnFailed)


@pytest.mark.parametrize("slot", ["turn", "stt"])
async def test_a_listener_that_falls_silent_in_mid_question_is_reached_anew_and_hears_all_of_it(slot: str) -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        await call.until(SpeechStarted)
        await asyncio.sleep(0.7)
        there.network.fall_silent(slot)
        await call.until(TurnReport)
    assert not call.events(TurnFailed)
    (ended,) = call.events(TurnEnded)
    assert ended.text == QUESTION
    assert call.reply_text(0) == "It is Paris."


@pytest.mark.parametrize("how", ["fall_silent", "cut"])
async def test_a_voice_whose_link_breaks_in_mid_reply_is_reached_anew_and_says_the_rest(how: str) -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says(*SENTENCES, gap_s=0.5))
        await call.conversation.send_text("Count, please.")
        await call.until(ReplyAudio, 5)
        getattr(there.network, how)("tts")
        await call.until(TurnReport)
    assert not call.events(TurnFailed)
    assert call.reply_text(0) == "".join(SENTENCES)
    check_sequences(call)
    assert heard_in(call.reply_audio(0)) == "".join(SENTENCES).strip()


async def test_a_language_model_whose_link_falls_silent_in_mid_reply_is_reached_anew_and_goes_on() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("Once upon a time ", "nobody hears this.", gap_s=30.0), says("there was a king."))
        await call.conversation.send_text("Tell me a story.")
        await call.until(ReplyText)
        there.network.fall_silent("llm")
        await call.until(TurnReport)
    assert not call.events(TurnFailed)
    assert call.reply_text(0) == "Once upon a time there was a king."


async def test_a_client_whose_link_falls_silent_in_mid_answer_comes_back_and_misses_nothing() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says(*SENTENCES, gap_s=0.4))
        await call.conversation.send_text("Count, please.")
        await call.until(ReplyAudio, 5)
        there.network.fall_silent("coordinator")
        replaced = await call.until(SessionReplaced)
        await call.until(TurnReport)
    assert replaced.resumed
    assert call.reply_text(0) == "".join(SENTENCES)
    check_sequences(call)


async def test_streams_that_a_service_breaks_again_and_again_cost_no_word() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        for _ in range(4):
            await asyncio.sleep(0.5)
            there.stt.break_streams(Unavailable("it restarts"))
        await call.until(TurnReport)
    (ended,) = call.events(TurnEnded)
    assert ended.text == QUESTION


@pytest.mark.parametrize("slot", ["stt", "llm"])
async def test_one_that_stands_still_from_the_first_turn_on_is_left_for_another(slot: str) -> None:
    async with mesh(**two(slot)) as there:
        second = there.serve(f"{slot}-2", type(getattr(there, slot))())
        if isinstance(second, FakeLanguageModel):
            second.play(says("It is Paris."))
        there.llm.play(says("It is Paris."))
        async with there.talk() as call:
            getattr(there, slot).stand_still()
            call.say(say(QUESTION))
            await call.until(TurnReport)
    assert not call.events(TurnFailed)
    (ended,) = call.events(TurnEnded)
    assert ended.text == QUESTION
    assert call.reply_text(0) == "It is Paris."


@pytest.mark.parametrize("slot", ["stt", "llm"])
async def test_where_there_is_no_other_one_that_stands_still_fails_the_turn_and_not_the_session(slot: str) -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("It is Paris."))
        getattr(there, slot).stand_still()
        call.say(say(QUESTION))
        await asyncio.sleep(STANDS_STILL_S + 10)
        (failed,) = call.events(TurnFailed)
        getattr(there, slot).go_on()
        await asyncio.sleep(5)
        call.say(say(QUESTION))
        await asyncio.sleep(10)
    assert failed.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert "takes far longer" in failed.message
    assert call.events(TurnEnded)[-1].text == QUESTION
    assert call.events(ReplyText)[-1].delta == "It is Paris."
