"""A client that loses its connection comes back to the same session: nothing said or answered is lost or doubled."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.events import SessionReplaced, SpeechStarted
from voxmesh_testing.streams import exchange, wait_until
from voxmesh_testing.virtual.caller import S16
from voxmesh_testing.virtual.llm import says
from voxmesh_testing.virtual.speech import heard_in, say
from voxmesh_testing.virtual.stage import mesh

pytestmark = pytest.mark.virtual

Request = conversation_pb2.ConverseRequest
TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
ReplyAudio = conversation_pb2.ReplyAudio

TYPED = Request(config=conversation_pb2.ConversationConfig(text_replies_only=True))
QUESTION = "What is the capital of France?"
SENTENCES = [f"This is sentence number {number}. " for number in range(8)]


def resume(started: conversation_pb2.SessionStarted, token: str | None = None) -> Request:
    """The first message of a client that comes back."""
    shown = started.resume_token if token is None else token
    return Request(resume=conversation_pb2.Resume(session_id=started.session_id, resume_token=shown))


@pytest.mark.parametrize("after_s", [0.1, 0.7, 2.0, 2.6], ids=str)
async def test_a_drop_in_mid_question_loses_no_word_of_it(after_s: float) -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says("It is Paris."))
        call.say(say(QUESTION))
        await call.until(SpeechStarted)
        await asyncio.sleep(after_s)
        there.network.cut("coordinator")
        replaced = await call.until(SessionReplaced)
        await call.until(TurnReport)
        asked = there.llm.messages(-1)[-1].text
    assert replaced.resumed
    (ended,) = call.events(TurnEnded)
    assert ended.text == QUESTION
    assert call.reply_text(0) == "It is Paris."
    assert len(call.events(SpeechStarted)) == 1
    assert asked == ended.text


async def test_a_drop_in_mid_answer_loses_and_doubles_nothing() -> None:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says(*SENTENCES, gap_s=0.4))
        await call.conversation.send_text("Count, please.")
        for drops, received in enumerate((5, 25, 60), 1):
            await call.until(ReplyAudio, received)
            there.network.cut("coordinator")
            await call.until(SessionReplaced, drops)
        await call.until(TurnReport)
        await asyncio.sleep(0.3)
        assert len(there.llm.asked) == 1
    assert all(replaced.resumed for replaced in call.events(SessionReplaced))
    assert call.reply_text(0) == "".join(SENTENCES)
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    end_s = 0.0
    for piece in pieces:
        assert piece.offset.ToNanoseconds() / 1e9 == pytest.approx(end_s, abs=0.002)
        end_s += len(piece.data) / 48_000
    assert pieces[-1].is_last
    assert heard_in(call.reply_audio(0)) == "".join(SENTENCES).strip()


async def test_an_answer_given_while_the_client_was_away_waits_for_it() -> None:
    async with mesh() as there:
        stub = there.stub()
        there.llm.play(says("I waited ", "for you.", gap_s=0.3))
        async with exchange(stub.Converse, TYPED) as stream:
            started = await stream.until("session_started")
            await stream.send(Request(text="Are you there?"))
            await wait_until(lambda: len(there.llm.asked) == 1)
        await asyncio.sleep(20.0)
        async with exchange(stub.Converse, resume(started)) as stream:
            again = await stream.until("session_started")
            await stream.until("turn_report")
            seen = stream.seen
            await stream.send(Request(goodbye=conversation_pb2.Goodbye()))
    assert again.session_id == started.session_id
    assert again.resume_token != started.resume_token
    assert "".join(response.reply_text.delta for response in seen) == "I waited for you."
    numbers = [response.sequence for response in seen if response.sequence]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(("away_s", "is_kept"), [(25, True), (31, False)])
async def test_a_session_is_kept_for_a_while_and_ended_when_nobody_comes_back(away_s: float, *, is_kept: bool) -> None:
    async with mesh() as there:
        stub = there.stub()
        async with exchange(stub.Converse, TYPED) as stream:
            started = await stream.until("session_started")
        await asyncio.sleep(away_s)
        async with exchange(stub.Converse, resume(started)) as stream:
            if is_kept:
                await stream.until("session_started")
            else:
                assert (await stream.failure()).code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("tried", ["nothing", "a guess", "the spent one"])
async def test_only_the_newest_token_resumes_a_session(tried: str) -> None:
    async with mesh() as there:
        stub = there.stub()
        async with exchange(stub.Converse, TYPED) as stream:
            started = await stream.until("session_started")
        async with exchange(stub.Converse, resume(started)) as stream:
            await stream.until("session_started")
            # Until then the client may not have got the newest one.
            await stream.send(Request(text="Hello."))
            await stream.until("turn_ended")
        tokens = {"nothing": "", "a guess": "x" * 32, "the spent one": started.resume_token}
        async with exchange(stub.Converse, resume(started, tokens[tried])) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_a_token_whose_answer_was_lost_is_good_once_more() -> None:
    async with mesh() as there:
        stub = there.stub()
        async with exchange(stub.Converse, TYPED) as stream:
            started = await stream.until("session_started")
        for _ in range(2):
            async with exchange(stub.Converse, resume(started)) as stream:
                await stream.until("session_started")


async def test_a_resume_takes_the_session_from_a_stream_that_still_seems_open() -> None:
    async with mesh() as there:
        stub = there.stub()
        async with exchange(stub.Converse, TYPED) as old:
            started = await old.until("session_started")
            async with exchange(stub.Converse, resume(started)) as new:
                await new.until("session_started")
                error = await old.failure()
                await new.send(Request(text="Hello."))
                await new.until("turn_report")
    assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_goodbye_ends_a_session_for_good() -> None:
    recognition = stt_pb2.RecognitionConfig(audio_format=S16)
    spoken = Request(config=conversation_pb2.ConversationConfig(recognition=recognition))
    async with mesh() as there:
        stub = there.stub()
        async with exchange(stub.Converse, spoken) as stream:
            started = await stream.until("session_started")
            await stream.send(Request(goodbye=conversation_pb2.Goodbye()))
            await stream.rest()
        async with exchange(stub.Converse, resume(started)) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_a_client_that_is_away_holds_no_stream_of_any_service() -> None:
    async with mesh() as there:
        recognition = stt_pb2.RecognitionConfig(audio_format=S16)
        spoken = Request(config=conversation_pb2.ConversationConfig(recognition=recognition))
        async with exchange(there.stub().Converse, spoken) as stream:
            await stream.until("session_started")
            assert [fake.streams.active_count for fake in (there.turn, there.stt, there.llm, there.tts)] == [1] * 4
        await asyncio.sleep(1)
        assert [fake.streams.active_count for fake in (there.turn, there.stt, there.llm, there.tts)] == [0] * 4
