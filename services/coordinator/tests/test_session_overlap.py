"""Speech over a reply: murmurs, coughs and echoes let it go on, words take the turn, history keeps what was heard."""

from __future__ import annotations

import asyncio

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_client.events import SpeechStarted
from voxmesh_testing.streams import wait_until
from voxmesh_testing.virtual.caller import REPLY_HERTZ, Caller
from voxmesh_testing.virtual.llm import says
from voxmesh_testing.virtual.speech import cough, echo, heard_in, say
from voxmesh_testing.virtual.stage import mesh

pytestmark = pytest.mark.virtual

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
Interrupted = conversation_pb2.Interrupted
ReplyAudio = conversation_pb2.ReplyAudio
Duck = conversation_pb2.Duck
Role = llm_pb2.Message

SENTENCES = ("Once upon a time there was a king. ", *["He had three sons and they all went away. "] * 12)
STORY, SLOW_STORY = says(*SENTENCES, gap_s=0.1), says(*SENTENCES, gap_s=1.5)


async def begin_story(call: Caller) -> None:
    """Have the assistant speak."""
    await call.conversation.send_text("Tell me a story.")
    await call.until(ReplyAudio, 5)


async def test_a_murmur_lowers_the_reply_and_lets_it_go_on() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(STORY)
        await begin_story(call)
        call.say(say("Right."))
        await call.until(SpeechStarted)
        await call.until(Duck, 2)
        await call.until(TurnReport)
        await asyncio.sleep(0.5)
        assert there.llm.cancelled == 0
    assert [duck.gain for duck in call.events(Duck)] == [0.25, 1.0]
    assert not call.events(Interrupted)
    assert len(call.events(TurnEnded)) == 1
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    assert pieces[-1].is_last
    assert heard_in(call.reply_audio(0)) == "".join(SENTENCES).strip()


async def test_nothing_of_a_reply_is_sent_while_a_murmur_over_it_is_judged() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(SLOW_STORY)
        await begin_story(call)
        call.say(say("Right."))
        first = await call.until(Duck)
        second = await call.until(Duck, 2)
    between = (call.time_of(first), call.time_of(second))
    held = [at for at, event in zip(call.times, call.heard, strict=True) if isinstance(event, ReplyAudio)]
    assert not [at for at in held if between[0] < at < between[1]]


async def test_a_cough_while_the_assistant_thinks_does_not_cost_the_answer() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("", "I have thought about it.", gap_s=2.0))
        await call.conversation.send_text("What do you think?")
        call.say(cough())
        await call.until(TurnReport)
        await call.until(SpeechStarted)
    assert call.reply_text(0) == "I have thought about it."
    assert call.reply_audio(0)
    assert not call.events(Interrupted)


@pytest.mark.parametrize("misheard", [False, True], ids=["understood", "misheard"])
async def test_the_replys_own_echo_does_not_interrupt_it(*, misheard: bool) -> None:
    async with mesh() as there, there.talk(plays=True, echoes=True) as call:
        if misheard:
            there.stt.understands = lambda words: words.replace("three sons", "free sands").replace("king", "thing")
        there.llm.play(STORY)
        await begin_story(call)
        await call.until(SpeechStarted)
        await call.until(Duck, 2)
        await call.until(SpeechStarted, 2)
        await call.until(Duck, 4)
    assert not call.events(Interrupted)
    assert len(call.events(TurnEnded)) == 1


@pytest.mark.parametrize("gain", [1.0, 0.25])
async def test_a_scrap_of_the_replys_echo_does_not_interrupt_it(gain: float) -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(STORY)
        await begin_story(call)
        began_at = call.time_of(call.events(ReplyAudio)[0])
        await wait_until(lambda: len(call.reply_audio(0)) > 6 * 2 * REPLY_HERTZ, 20)
        # From the middle of a word to the middle of another, as it is being played.
        for _ in range(3):
            await asyncio.sleep(0.9)
            at_s = asyncio.get_running_loop().time() - began_at - 0.15
            call.say(echo(call.reply_audio(0), REPLY_HERTZ, at_s, 0.7, gain))
            await asyncio.sleep(0.8)
        await call.until(Duck, 2)
    assert not call.events(Interrupted)
    assert len(call.events(TurnEnded)) == 1


async def test_a_person_who_asks_with_the_replys_own_words_is_heard() -> None:
    async with mesh() as there, there.talk(plays=True) as call:
        there.llm.play(STORY, says("Yes."))
        await begin_story(call)
        await asyncio.sleep(4)
        call.say(say("Once upon a time there was a king?"))
        interrupted = await call.until(Interrupted)
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
    assert interrupted.turn_index == 0
    assert interrupted.heard_text.startswith("Once upon a time there was a king.")
    assert call.reply_text(1) == "Yes."


@pytest.mark.parametrize("echoes", [False, True], ids=["headphones", "loudspeaker"])
async def test_words_over_a_reply_take_the_turn(*, echoes: bool) -> None:
    async with mesh() as there, there.talk(plays=True, echoes=echoes) as call:
        there.llm.play(SLOW_STORY, says("It is Paris."))
        await begin_story(call)
        call.say(say("What is the capital of France?"))
        interrupted = await call.until(Interrupted)
        await wait_until(lambda: there.llm.cancelled == 1)
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
        messages = there.llm.messages(1)
    assert interrupted.turn_index == 0
    assert call.reply_text(1) == "It is Paris."
    assert call.events(TurnEnded)[-1].text.endswith("What is the capital of France?")
    assert messages[-1].role == Role.ROLE_USER
    assert interrupted.heard_text
    assert messages[-2].text == interrupted.heard_text


async def test_a_reply_that_was_sent_whole_is_remembered_as_far_as_it_was_played() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says(*SENTENCES), says("Well."))
        await begin_story(call)
        await call.until(TurnReport)
        await call.conversation.played(0, 3.0)
        await call.conversation.send_text("Go on.")
        interrupted = await call.until(Interrupted)
        # What a client says too late changes nothing.
        await call.conversation.played(0, 20.0)
        await call.until(TurnReport, 2)
        messages = there.llm.messages(1)
    assert interrupted.heard_text == "Once upon a time there was a king. He had"
    assert (messages[-2].role, messages[-2].text) == (Role.ROLE_ASSISTANT, interrupted.heard_text)


async def test_words_while_the_assistant_thinks_belong_to_the_same_turn() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("", "This answer comes too late.", gap_s=30.0), says("Paris and Rome."))
        await call.conversation.send_text("What is the capital of France?")
        await wait_until(lambda: len(there.llm.asked) == 1)
        call.say(say("And what is the capital of Italy?"))
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
        messages = there.llm.messages(1)
    assert call.reply_text(1) == "Paris and Rome."
    assert [message.role for message in messages] == [Role.ROLE_SYSTEM, Role.ROLE_USER]
    assert messages[-1].text == "What is the capital of France? And what is the capital of Italy?"


async def test_a_long_wait_for_the_first_word_is_filled() -> None:
    async with mesh(filler="Let me see.", filler_after_s=0.5) as there, there.talk() as call:
        there.llm.play(says("", "Here it is.", gap_s=3.0))
        await call.ask("Find it, please.", 0)
        await call.conversation.send_text("Thanks.")
        await wait_until(lambda: len(there.llm.asked) == 2)
        messages = there.llm.messages(1)
    assert call.reply_text(0) == "Let me see. Here it is."
    assert messages[-2].text == "Let me see. Here it is."


@pytest.mark.parametrize("reply", ["It is Paris, my friend.", "Paris.", "Yes, of course, that is what I said before."])
async def test_the_echo_of_a_replys_last_words_is_no_turn_though_it_is_judged_after_the_end(reply: str) -> None:
    async with mesh() as there, there.talk(plays=True, echoes=True) as call:
        there.llm.play(says(reply))
        call.say(say("What is the capital of France?"))
        await asyncio.sleep(20)
    assert [ended.text for ended in call.events(TurnEnded)] == ["What is the capital of France?"]


@pytest.mark.parametrize("answer", ["Yes.", "Please book the table at nine."])
async def test_what_a_person_says_over_the_end_of_a_reply_is_a_turn_once_that_is_over(answer: str) -> None:
    async with mesh() as there, there.talk(plays=True) as call:
        there.llm.play(says("Shall I book it?"), says("Done."))
        call.say(say("I would like a table."))
        await call.until(ReplyAudio)
        await asyncio.sleep(0.8)
        call.say(say(answer))
        await call.until(TurnReport, 2)
    assert call.events(TurnEnded)[-1].text == answer
