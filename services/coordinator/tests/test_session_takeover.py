"""A coordinator dies, and another one that shares its store goes on: nothing said or answered is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import grpc
import pytest
from google.protobuf import struct_pb2

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.events import SessionReplaced, SpeechStarted
from voxmesh_testing.streams import exchange, wait_until
from voxmesh_testing.virtual.caller import S16, Caller
from voxmesh_testing.virtual.llm import Answer, calls, says
from voxmesh_testing.virtual.speech import heard_in, say
from voxmesh_testing.virtual.stage import ADDRESS, Stage, mesh

pytestmark = pytest.mark.virtual

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio
Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
ToolCall = conversation_pb2.ToolCall
Role = llm_pb2.Message

TYPED = Request(config=conversation_pb2.ConversationConfig(text_replies_only=True))
HEARD = stt_pb2.RecognitionConfig(audio_format=S16)
QUESTION = "What is the capital of France?"
STORY = [f"This is sentence number {number}. " for number in ("one", "two", "three", "four", "five", "six")]


def resume(started: conversation_pb2.SessionStarted, got: Sequence[Response] = ()) -> Request:
    """The first message of a client that has got these responses."""
    last = max((response.sequence for response in got), default=0)
    again = conversation_pb2.Resume(
        session_id=started.session_id, resume_token=started.resume_token, last_sequence=last
    )
    return Request(resume=again)


def audio(sequence: int, data: bytes) -> Request:
    """A piece of the microphone's audio."""
    return Request(audio=conversation_pb2.AudioChunk(sequence=sequence, data=data))


def assert_seamless(call: Caller, turn_index: int) -> None:
    """Every piece of a reply's audio follows the one before it."""
    pieces = [piece for piece in call.events(ReplyAudio) if piece.turn_index == turn_index]
    assert [piece.sequence for piece in pieces] == list(range(pieces[0].sequence, pieces[0].sequence + len(pieces)))
    end_s = 0.0
    for piece in pieces:
        assert piece.offset.ToNanoseconds() / 1e9 == pytest.approx(end_s, abs=1e-6)
        end_s += len(piece.data) / 48_000
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]


async def hear(call: Caller, turn_index: int) -> None:
    """Play a reply to its end."""
    await call.conversation.played(turn_index, len(call.reply_audio(turn_index)) / 48_000)


def remaining(asked: llm_pb2.Generate) -> Answer:
    """What is left of the story after what the model is told that it has said."""
    last = asked.messages[-1].text
    told = asked.messages[-2].text.strip() if last.startswith("Go on exactly") else ""
    assert "".join(STORY).startswith(told)
    return says(*(sentence for sentence in STORY if sentence.strip() not in told), gap_s=0.5)


@pytest.mark.parametrize("after_s", [0.1, 0.7, 2.0, 2.6], ids=str)
async def test_a_coordinator_killed_in_mid_question_is_replaced_and_the_whole_question_heard(after_s: float) -> None:
    async with mesh("one", "two") as there, there.talk() as call:
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        await call.until(SpeechStarted)
        await asyncio.sleep(after_s)
        await there.take_over()
        replaced = await call.until(SessionReplaced)
        await call.until(TurnReport)
        await hear(call, 0)
        await call.conversation.send_text("Thank you.")
        await call.until(TurnReport, 2)
        messages = there.llm.messages(-1)
    assert replaced.resumed
    assert [ended.turn_index for ended in call.events(TurnEnded)] == [0, 1]
    assert call.events(TurnEnded)[0].text == QUESTION
    assert call.reply_text(0) == "It is Paris."
    assert [message.text for message in messages[1:]] == [QUESTION, "It is Paris.", "Thank you."]
    assert_seamless(call, 0)


async def told(there: Stage, call: Caller, turn_index: int) -> bytes:
    """The audio of the story when nothing comes in between."""
    there.llm.play(says(*STORY))
    await call.ask("Tell me a story.", turn_index)
    return call.reply_audio(turn_index)


@pytest.mark.parametrize("pieces", [1, 7, 15, 30, 60])
async def test_a_coordinator_killed_in_mid_answer_is_replaced_and_the_rest_is_said(pieces: int) -> None:
    async with mesh("one", "two") as there, there.talk() as call:
        undisturbed = await told(there, call, 0)
        await hear(call, 0)
        there.llm.play(remaining)
        await call.conversation.send_text("Again, please.")
        await call.until(ReplyAudio, pieces, where=lambda piece: piece.turn_index == 1)
        is_written = call.reply_text(1) == "".join(STORY)
        await there.take_over()
        await call.until(TurnReport, 2)
        requests = len(there.llm.asked)
        await hear(call, 1)
        there.llm.play(says("Good."))
        await call.ask("Thank you.", 2)
        messages = there.llm.messages(-1)
    assert [replaced.resumed for replaced in call.events(SessionReplaced)] == [True]
    assert not call.events(TurnFailed)
    assert requests == (1 if is_written else 2)
    assert call.reply_text(1) == "".join(STORY)
    assert_seamless(call, 1)
    assert call.reply_audio(1) == undisturbed
    assert heard_in(undisturbed) == "".join(STORY).strip()
    assert [message.text.strip() for message in messages[-3:]] == [
        "Again, please.",
        "".join(STORY).strip(),
        "Thank you.",
    ]


async def test_a_question_that_is_being_answered_is_not_heard_again() -> None:
    async with mesh("one", "two") as there, there.talk() as call:
        there.llm.play(remaining)
        call.say(say(QUESTION))
        await call.until(ReplyAudio, 8)
        await there.take_over()
        await call.until(TurnReport)
        await asyncio.sleep(3)
    assert [replaced.resumed for replaced in call.events(SessionReplaced)] == [True]
    assert len(call.events(SpeechStarted)) == len(call.events(TurnEnded)) == 1
    assert call.reply_text(0) == "".join(STORY)
    assert_seamless(call, 0)


async def test_a_turn_whose_answer_had_not_begun_is_answered() -> None:
    async with mesh("one", "two") as there, there.chat() as call:
        there.llm.play(says("Too late.", pause_s=60), says("Here I am."))
        await call.conversation.send_text("Are you there?")
        await call.until(TurnEnded)
        await there.take_over()
        await call.until(TurnReport)
        messages = there.llm.messages(-1)
    assert call.reply_text(0) == "Here I am."
    assert len(call.events(TurnEnded)) == 1
    assert messages[-1].text == "Are you there?"


async def test_a_text_that_the_dead_coordinator_never_read_is_answered_once() -> None:
    async with mesh("one", "two") as there, there.chat() as call:
        there.llm.play(says("Yes."))
        await call.ask("First.", 0)
        there.network.fall_silent(ADDRESS)
        await call.conversation.send_text("Second.")
        await there.take_over()
        await call.until(TurnReport, 2)
        await call.ask("Third.", 2)
        messages = there.llm.messages(-1)
    assert [ended.text for ended in call.events(TurnEnded)] == ["First.", "Second.", "Third."]
    assert [message.text for message in messages[1:]] == ["First.", "Yes.", "Second.", "Yes.", "Third."]


@pytest.mark.parametrize("is_answered", [False, True], ids=["while it runs", "once it has run"])
async def test_a_tool_is_not_run_twice(*, is_answered: bool) -> None:
    tool = conversation_pb2.Tool(name="weather", description="Weather of a city", parameters=struct_pb2.Struct())
    async with mesh("one", "two") as there, there.chat(tools=[tool]) as call:
        late = [says("Too late.", pause_s=60)] if is_answered else []
        there.llm.play(calls("weather", '{"city": "Paris"}'), *late, says("It is sunny."))
        await call.conversation.send_text("How is the weather in Paris?")
        wanted = await call.until(ToolCall)
        result = conversation_pb2.ToolResult(call_id=wanted.call_id, content="sunny")
        if is_answered:
            await call.conversation.send_tool_result(result)
            await wait_until(lambda: len(there.llm.asked) == 2)
        await there.take_over()
        await call.until(SessionReplaced)
        if not is_answered:
            await call.conversation.send_tool_result(result)
        await call.until(TurnReport)
        *_, asks, answer = there.llm.messages(-1)
    assert (answer.role, answer.text) == (Role.ROLE_TOOL, "sunny")
    assert answer.tool_call_id == asks.tool_calls[0].call_id
    assert len(call.events(ToolCall)) == 1
    assert call.reply_text(0) == "It is sunny."


async def test_a_session_is_taken_from_a_coordinator_that_lives() -> None:
    async with mesh("one", "two") as there:
        one, two = there.stub("one"), there.stub("two")
        there.llm.play(says("One. ", "Two. ", "Three.", gap_s=1.0), says("Two. ", "Three."))
        async with exchange(one.Converse, TYPED) as old:
            started = await old.until("session_started")
            await old.send(Request(text="Count."))
            await old.until("reply_text")
            # What it has got is committed a moment later.
            await asyncio.sleep(0.1)
            async with exchange(two.Converse, resume(started, old.seen)) as new:
                await new.until("turn_report")
                error = await old.failure()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    got = [*old.seen, *new.seen]
    assert "".join(response.reply_text.delta for response in got) == "One. Two. Three."
    numbers = [response.sequence for response in got if response.sequence]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("tried", ["nothing", "a guess", "the spent one"])
async def test_another_replica_takes_no_token_but_the_newest(tried: str) -> None:
    async with mesh("one", "two") as there:
        one, two = there.stub("one"), there.stub("two")
        async with exchange(one.Converse, TYPED) as stream:
            started = await stream.until("session_started")
        async with exchange(two.Converse, resume(started)) as stream:
            newest = await stream.until("session_started")
            await stream.send(Request(text="Hello."))
            await stream.until("turn_ended")
            tokens = {"nothing": "", "a guess": "x" * 32, "the spent one": started.resume_token}
            started.resume_token = tokens[tried]
            for stub in (one, two):
                async with exchange(stub.Converse, resume(started)) as other:
                    error = await other.failure()
                assert error.code() == grpc.StatusCode.NOT_FOUND
            await stream.until("turn_report")
    assert newest.session_id == started.session_id


async def test_of_clients_that_race_to_resume_one_gets_the_session() -> None:
    async with mesh("one", "two") as there, AsyncExitStack() as stack:
        replicas = (there.stub("one"), there.stub("two"))
        there.llm.play(says("Yes."))
        async with exchange(replicas[0].Converse, TYPED) as stream:
            started = await stream.until("session_started")
        opened = [exchange(stub.Converse, resume(started)) for stub in replicas * 3]
        streams = [await stack.enter_async_context(each) for each in opened]
        firsts = await asyncio.gather(*(each.next() for each in streams), return_exceptions=True)
        held = [stream for stream, first in zip(streams, firsts, strict=True) if isinstance(first, Response)]
        assert held
        for stream in held:
            await stream.send(Request(text="Is it me?"))
        ends = await asyncio.gather(*(each.until("turn_report") for each in held), return_exceptions=True)
        assert sum(isinstance(end, TurnReport) for end in ends) == 1
        assert len(there.llm.asked) == 1


@pytest.mark.parametrize("why", ["it took too long", "a goodbye was said"])
async def test_what_is_over_is_over_on_every_replica(why: str) -> None:
    async with mesh("one", "two", resume_s=0.6) as there:
        one, two = there.stub("one"), there.stub("two")
        async with exchange(one.Converse, TYPED) as stream:
            started = await stream.until("session_started")
            if why == "a goodbye was said":
                await stream.send(Request(goodbye=conversation_pb2.Goodbye()))
                await stream.rest()
            else:
                # A client that says nothing is there all the same.
                await asyncio.sleep(1.5)
                await there.replicas["one"].kill()
                await asyncio.sleep(1.0)
        async with exchange(two.Converse, resume(started)) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_a_client_that_says_nothing_for_long_is_there_all_the_same() -> None:
    async with mesh("one", "two") as there, there.chat() as call:
        await asyncio.sleep(600)
        await there.take_over()
        replaced = await call.until(SessionReplaced)
    assert replaced.resumed


async def test_audio_that_the_client_has_given_up_is_passed_over() -> None:
    silence = bytes(640)
    spoken = Request(config=conversation_pb2.ConversationConfig(recognition=HEARD))
    async with mesh("one", "two") as there:
        async with exchange(there.stub("one").Converse, spoken) as old:
            started = await old.until("session_started")
            await old.send(*(audio(number, silence) for number in range(50)))
        async with exchange(there.stub("two").Converse, resume(started)) as stream:
            again = await stream.until("session_started")
            assert again.next_audio_sequence == 0
            await stream.send(*(audio(number, silence) for number in range(30, 700)))
            acknowledged = await stream.until("audio_acknowledged")
            await stream.send(audio(710, silence))
            error = await stream.failure()
    assert 0 < acknowledged < 700 - 500
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "audio.sequence" in str(error.details())


async def test_a_conversation_goes_on_when_its_store_dies() -> None:
    async with mesh("one", "two") as there, there.chat() as call:
        assert there.store is not None
        there.llm.play(says("Yes."))
        await call.ask("Are you there?", 0)
        there.store.is_away = True
        await call.ask("Still?", 1)
    assert call.reply_text(1) == "Yes."
    assert not call.events(SessionReplaced)


async def test_a_coordinator_that_stops_hands_its_session_over() -> None:
    async with mesh("one", "two") as there, there.chat("one,two") as call:
        there.llm.play(says("Yes."))
        await call.ask("Are you there?", 0)
        host = call.conversation.session.services[-1].host
        await there.replicas[host].drain()
        replaced = await call.until(SessionReplaced)
        await call.ask("Still?", 1)
        messages = there.llm.messages(-1)
    assert replaced == SessionReplaced("the coordinator asked to move", resumed=True)
    assert call.conversation.session.services[-1].host != host
    assert [message.text for message in messages[1:]] == ["Are you there?", "Yes.", "Still?"]


async def test_a_client_behind_one_address_moves_though_its_connection_still_stands() -> None:
    async with mesh("one", "two") as there, there.chat() as call:
        there.llm.play(says("Yes."))
        await call.ask("Are you there?", 0)
        async with exchange(there.stub("one").Converse, TYPED) as stays:
            await stays.until("session_started")
            # As a Service does with a pod that is not ready: new connections lead elsewhere, old ones stay.
            there.network.lead(ADDRESS, "two")
            draining = asyncio.create_task(there.replicas["one"].drain())
            replaced = await call.until(SessionReplaced)
            await call.ask("Still?", 1)
            assert call.conversation.session.services[-1].host == "two"
            assert not draining.done()
        await draining
    assert replaced.resumed
