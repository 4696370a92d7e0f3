"""Where a person's turn ends, and what is done for its reply before that is certain."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf import struct_pb2

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_testing.streams import wait_until
from voxmesh_testing.virtual.llm import calls, says
from voxmesh_testing.virtual.speech import say, silence
from voxmesh_testing.virtual.stage import mesh

pytestmark = pytest.mark.virtual

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
ToolCall = conversation_pb2.ToolCall
Role = llm_pb2.Message

QUESTION = "What is the capital of France?"


async def test_a_pause_in_mid_sentence_does_not_end_the_turn() -> None:
    async with mesh() as there, there.talk() as call:
        call.say(say("I would like to know whether the") + silence(0.8) + say("shop is open."))
        ended = await call.until(TurnEnded)
        await asyncio.sleep(2)
    assert len(call.events(TurnEnded)) == 1
    assert ended.text == "I would like to know whether the shop is open."


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I would like to know the name", "of the longest river in Africa."),
        ("Please remind me to call", "my mother on Sunday."),
        ("If it does not rain tomorrow,", "should we go to the beach?"),
    ],
)
@pytest.mark.parametrize("judges_words", [True, False], ids=["by words", "by sound"])
async def test_a_pause_that_is_judged_to_lead_to_more_does_not_end_the_turn(
    first: str, second: str, *, judges_words: bool
) -> None:
    async with mesh(max_end_of_turn_wait_s=6) as there, there.talk() as call:
        there.turn.judges_words = judges_words
        there.llm.play(says("Yes."))
        call.say(say(first) + silence(0.8) + say(second))
        ended = await call.until(TurnEnded)
        await call.until(TurnReport)
        asked = there.llm.messages(-1)[-1].text
    assert ended.text == f"{first} {second}"
    assert len(call.events(TurnEnded)) == 1
    assert asked == ended.text


async def test_a_short_answer_ends_the_turn_long_before_the_longest_wait() -> None:
    async with mesh(max_end_of_turn_wait_s=10) as there, there.talk() as call:
        there.llm.play(says("Good."))
        call.say(say("Yeah."))
        report = await call.until(TurnReport)
    waited_s = (report.turn_ended_time.ToNanoseconds() - report.speech_ended_time.ToNanoseconds()) / 1e9
    # The shorter wait of the two, 0.4 s.
    assert 0.4 <= waited_s < 0.6


async def test_a_turn_that_trails_off_is_held_open() -> None:
    async with mesh(min_end_of_turn_wait_s=0.2, max_end_of_turn_wait_s=6) as there, there.talk() as call:
        call.say(say("I would like to have, um") + silence(2.0) + say("a cup of coffee."))
        ended = await call.until(TurnEnded)
    assert ended.text == "I would like to have, um a cup of coffee."


async def test_a_microphone_that_stops_in_mid_word_ends_the_turn() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        await asyncio.sleep(1.3)
        call.is_muted = True
        ended = await call.until(TurnEnded)
        await call.until(conversation_pb2.ReplyAudio)
    assert ended.text == "What is the capital"


async def test_a_reply_prepared_in_a_pause_is_thrown_away_when_more_is_said() -> None:
    answers = says(*["This is a long answer to what was asked. "] * 30, gap_s=0.1)
    async with mesh(min_end_of_turn_wait_s=4, max_end_of_turn_wait_s=5) as there, there.talk() as call:
        there.llm.play(answers)
        call.say(say(QUESTION))
        await wait_until(lambda: len(there.llm.asked) == 1)
        call.say(say("And what is the capital of Italy?"))
        await wait_until(lambda: there.llm.cancelled == 1)
        assert not call.events(TurnEnded)
        ended = await call.until(TurnEnded)
        await wait_until(lambda: len(there.llm.asked) == 2)
        await call.conversation.interrupt()
        report = await call.until(TurnReport)
        messages = there.llm.messages(1)
    assert ended.text == "What is the capital of France? And what is the capital of Italy?"
    assert [message.role for message in messages] == [Role.ROLE_SYSTEM, Role.ROLE_USER]
    assert messages[-1].text == ended.text
    assert report.discarded_reply_count == 1
    assert report.discarded_compute_duration.ToNanoseconds() > 0
    assert {piece.turn_index for piece in call.events(conversation_pb2.ReplyAudio)} <= {0}


async def test_a_prepared_reply_is_said_once_the_turn_is_over() -> None:
    async with mesh(min_end_of_turn_wait_s=3, max_end_of_turn_wait_s=4) as there, there.talk() as call:
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        await wait_until(lambda: len(there.llm.asked) == 1)
        assert not call.events(TurnEnded)
        report = await call.until(TurnReport)
        assert len(there.llm.asked) == 1
    assert call.reply_text(0) == "It is Paris."
    assert {hop.service.split("/")[0] for hop in report.hops if hop.speculative} == {"stt", "llm", "tts"}
    exposed_s = (report.first_audio_time.ToNanoseconds() - report.turn_ended_time.ToNanoseconds()) / 1e9
    written = next(hop for hop in report.hops if hop.service.startswith("llm/"))
    prepared_s = (report.turn_ended_time.ToNanoseconds() - written.sent_time.ToNanoseconds()) / 1e9
    assert 0 <= exposed_s < prepared_s


async def test_without_speculation_nothing_is_asked_or_read_before_the_turn_is_over() -> None:
    async with mesh() as there, there.talk(speculation=False) as call:
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        report = await call.until(TurnReport)
        asked, read = len(there.llm.asked), len(there.llm.read)
    assert not any(hop.speculative for hop in report.hops)
    assert call.reply_text(0) == "It is Paris."
    assert (asked, read) == (1, 0)


async def test_no_tool_is_called_before_the_turn_is_over() -> None:
    tool = conversation_pb2.Tool(name="lights_off", description="Turn off the light", parameters=struct_pb2.Struct())
    async with mesh(min_end_of_turn_wait_s=3, max_end_of_turn_wait_s=4) as there, there.talk(tools=[tool]) as call:
        there.llm.play(calls("lights_off", "{}"), says("Done."))
        call.say(say(QUESTION))
        await wait_until(lambda: len(there.llm.asked) == 1)
        await asyncio.sleep(0.3)
        assert not call.events(ToolCall)
        wanted = await call.until(ToolCall)
        assert call.events(TurnEnded)
        await call.conversation.send_tool_result(conversation_pb2.ToolResult(call_id=wanted.call_id, content="ok"))
        await call.until(TurnReport)
    assert call.reply_text(0) == "Done."


@pytest.mark.parametrize("shows_interim_results", [True, False])
async def test_a_reply_is_prepared_before_the_pause_is_judged_and_said_after_it(*, shows_interim_results: bool) -> None:
    async with (
        mesh(max_end_of_turn_wait_s=9) as there,
        there.talk(interim_results=shows_interim_results) as call,
    ):
        there.turn.judges_words = False
        there.turn.may_judge.clear()
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        await wait_until(lambda: len(there.llm.asked) == 1)
        assert not call.events(TurnEnded)
        there.turn.may_judge.set()
        await call.until(TurnReport)
        assert len(there.llm.asked) == 1
        asked = there.llm.messages(0)[-1].text
    assert {result.is_final for result in call.events(stt_pb2.RecognitionResult)} == (
        {True, False} if shows_interim_results else {True}
    )
    assert asked == QUESTION
    assert call.reply_text(0) == "It is Paris."


async def test_the_language_model_reads_what_is_said_while_it_is_said() -> None:
    words = "Please tell me what people in the north of Italy like to eat for lunch on Sunday."
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("Polenta."))
        call.say(say(words))
        ended = await call.until(TurnEnded)
        before = list(there.llm.read)
        await call.until(TurnReport)
        # What the reply added is read while it is heard.
        await wait_until(lambda: there.llm.read[-1].messages[-1].role == Role.ROLE_ASSISTANT)
        (answered,) = there.llm.asked
    assert answered.messages[-1].text == ended.text == words
    assert [message.role for message in before[0].messages] == [Role.ROLE_SYSTEM]
    last = [generate.messages[-1] for generate in before]
    parts = [message.text for message in last if message.role == Role.ROLE_USER]
    assert parts[0] != parts[-1]
    assert all(words.startswith(part) for part in parts)
    assert len(parts[0]) < len(words)


@pytest.mark.parametrize("gap_s", [0.45, 0.6, 1.0])
async def test_the_next_turn_does_not_begin_with_the_last_word_of_the_one_before(gap_s: float) -> None:
    async with mesh(min_end_of_turn_wait_s=0.2) as there, there.talk() as call:
        there.llm.play(says("It is Paris."), says("It is Rome."))
        call.say(say(QUESTION) + silence(gap_s) + say("And what about Italy?"))
        await call.until(TurnReport, 2)
    texts = " ".join(each.text for each in call.events(TurnEnded))
    assert texts.count("France?") == 1
    assert texts.endswith("And what about Italy?")
