"""Taking and giving the turn: pauses, murmurs, coughs, echoes and interruptions, with real models."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from google.protobuf import struct_pb2
from talking import RATE_HERTZ, Talk, pcm, question, reply_audio, reply_text, spoken, talk
from test_coordinator import RECOGNITION, asked, audio, config, says, scripted

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_client.sound import samples_of
from voxmesh_coordinator.turn.words import is_same_speech
from voxmesh_runtime.audio import Resampler, Samples
from voxmesh_runtime.channels import open_channel
from voxmesh_testing.llm_server import Play, fragment
from voxmesh_testing.streams import exchange, wait_until

pytestmark = pytest.mark.mesh

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
Interrupted = conversation_pb2.Interrupted
ReplyAudio = conversation_pb2.ReplyAudio
Duck = conversation_pb2.Duck

REPLY_HERTZ = 24_000
SENTENCES = ("Once upon a time there was a king. ", *["He had three sons and they all went away. "] * 12)
STORY, SLOW_STORY = says(*SENTENCES, gap_s=0.1), says(*SENTENCES, gap_s=1.5)


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE_HERTZ))


def cough() -> bytes:
    """Half a second of loud noise that dies away."""
    noise = np.random.default_rng(seed=1).standard_normal(RATE_HERTZ // 2)
    return pcm((noise * 0.3 * np.linspace(1, 0, len(noise)) ** 2).astype(np.float32))


def echo(reply: bytes) -> bytes:
    """A reply of 24 kHz as the microphone hears it."""
    heard: Samples = np.frombuffer(reply, "<i2").astype(np.float32) / np.float32(65536)
    resampler = Resampler(REPLY_HERTZ, RATE_HERTZ)
    return pcm(np.concatenate([resampler.process(heard), resampler.flush()]))


async def begin_story(call: Talk) -> None:
    """Have the assistant speak."""
    await call.conversation.send_text("Tell me a story.")
    await call.until(ReplyAudio, 5)


async def tell_position(call: Talk) -> None:
    """Tell how far the first reply has been played, as a client does."""
    began_at = time.monotonic()
    while True:
        await call.conversation.played(0, time.monotonic() - began_at)
        await asyncio.sleep(0.1)


async def test_a_pause_in_mid_sentence_does_not_end_the_turn(settings: MeshSettings) -> None:
    first, second = await spoken(settings, "I would like to know whether the"), await spoken(settings, "shop is open.")
    async with talk(settings) as call:
        call.say(first + silence(0.8) + second)
        ended = await call.until(TurnEnded)
        await asyncio.sleep(2)
    assert len(call.events(TurnEnded)) == 1
    assert "open" in ended.text.lower()
    assert "know" in ended.text.lower()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I would like to know the name", "of the longest river in Africa."),
        ("Please remind me to call", "my mother on Sunday."),
        ("If it does not rain tomorrow,", "should we go to the beach?"),
    ],
)
async def test_a_pause_after_words_that_lead_to_more_does_not_end_the_turn(
    settings: MeshSettings, first: str, second: str
) -> None:
    begun, rest = await spoken(settings, first), await spoken(settings, second)
    # Only the words tell: both voices are calm, and each half is spoken as a sentence of its own.
    async with scripted(settings, says("Yes."), max_end_of_turn_wait_s=6) as (server, there), talk(there) as call:
        call.say(begun + silence(0.8) + rest)
        ended = await call.until(TurnEnded)
        await call.until(TurnReport)
    assert second.rsplit(maxsplit=1)[-1].strip(".?").lower() in ended.text.lower()
    assert len(call.events(TurnEnded)) == 1
    assert is_same_speech(asked(server, -1)[-1]["content"], ended.text)


async def test_a_short_answer_ends_the_turn_long_before_the_longest_wait(settings: MeshSettings) -> None:
    yeah = await spoken(settings, "Yeah.")
    async with scripted(settings, says("Good."), max_end_of_turn_wait_s=10) as (_, there), talk(there) as call:
        call.say(yeah)
        report = await call.until(TurnReport)
    # Which of the two waits was chosen, 0.2 s or 10 s, and not how quick the machine is.
    waited_s = (report.turn_ended_time.ToNanoseconds() - report.speech_ended_time.ToNanoseconds()) / 1e9
    assert waited_s < 5


async def test_a_turn_that_trails_off_is_held_open(settings: MeshSettings) -> None:
    first, second = await spoken(settings, "I would like to have, um"), await spoken(settings, "a cup of coffee.")
    waits = {"min_end_of_turn_wait_s": 0.2, "max_end_of_turn_wait_s": 6}
    async with scripted(settings, says("Here it is."), **waits) as (_, there), talk(there) as call:
        call.say(first + silence(2.0) + second)
        ended = await call.until(TurnEnded)
    assert "like" in ended.text.lower()
    assert "coffee" in ended.text.lower()


async def test_a_microphone_that_stops_in_mid_word_ends_the_turn(settings: MeshSettings) -> None:
    async with (
        scripted(settings, says("It is Paris.")) as (_, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(recognition=RECOGNITION)) as stream:
            await stream.until("session_started")
            for sequence in range(20):
                await stream.send(audio(question()[3200 * sequence :][:3200], sequence))
                await asyncio.sleep(0.1)
            ended = await stream.until("turn_ended")
            await stream.until("reply_audio")
    assert "what is the" in ended.text.lower()


async def test_a_reply_prepared_in_a_pause_is_thrown_away_when_more_is_said(settings: MeshSettings) -> None:
    other = await spoken(settings, "And what is the capital of Italy?")
    answers = says(*["This is a long answer to what was asked. "] * 30, gap_s=0.1)
    async with (
        # The wait is long, so that the pause is one that a reply is prepared in, whatever else the machine does.
        scripted(settings, answers, min_end_of_turn_wait_s=4, max_end_of_turn_wait_s=5) as (server, there),
        talk(there) as call,
    ):
        call.say(question())
        await wait_until(lambda: len(server.requests) == 1, 20)
        call.say(other)
        await wait_until(lambda: server.hang_ups == 1, 20)
        assert not call.events(TurnEnded)
        ended = await call.until(TurnEnded)
        await wait_until(lambda: len(server.requests) == 2, 20)
        await call.conversation.interrupt()
        report = await call.until(TurnReport)
    assert "france" in ended.text.lower()
    assert "italy" in ended.text.lower()
    assert [message["role"] for message in asked(server, 1)] == ["system", "user"]
    assert is_same_speech(asked(server, 1)[-1]["content"], ended.text)
    assert report.discarded_reply_count == 1
    assert report.discarded_compute_duration.ToNanoseconds() > 0
    assert {piece.turn_index for piece in call.events(ReplyAudio)} <= {0}


async def test_a_prepared_reply_is_said_once_the_turn_is_over(settings: MeshSettings) -> None:
    async with (
        scripted(settings, says("It is Paris."), min_end_of_turn_wait_s=3, max_end_of_turn_wait_s=4) as (server, there),
        talk(there) as call,
    ):
        call.say(question())
        await wait_until(lambda: len(server.requests) == 1, 20)
        assert not call.events(TurnEnded)
        report = await call.until(TurnReport)
    assert len(server.requests) == 1
    assert reply_text(call, 0) == "It is Paris."
    speculative = {hop.service.split("/")[0] for hop in report.hops if hop.speculative}
    assert speculative == {"stt", "llm", "tts"}
    exposed_s = (report.first_audio_time.ToNanoseconds() - report.turn_ended_time.ToNanoseconds()) / 1e9
    written = next(hop for hop in report.hops if hop.service.startswith("llm/"))
    prepared_s = (report.turn_ended_time.ToNanoseconds() - written.sent_time.ToNanoseconds()) / 1e9
    assert 0 <= exposed_s < prepared_s


async def test_without_speculation_nothing_is_asked_before_the_turn_is_over(settings: MeshSettings) -> None:
    async with scripted(settings, says("It is Paris.")) as (_, there), talk(there, speculation=False) as call:
        call.say(question())
        report = await call.until(TurnReport)
    assert not any(hop.speculative for hop in report.hops)
    assert reply_text(call, 0) == "It is Paris."


async def test_no_tool_is_called_before_the_turn_is_over(settings: MeshSettings) -> None:
    wants = Play([fragment(0, "{}", "lights_off", "call-1")], finish="tool_calls")
    tool = conversation_pb2.Tool(name="lights_off", description="Turn off the light", parameters=struct_pb2.Struct())
    async with (
        scripted(settings, wants, says("Done."), min_end_of_turn_wait_s=3, max_end_of_turn_wait_s=4) as (server, there),
        talk(there, tools=[tool]) as call,
    ):
        call.say(question())
        await wait_until(lambda: len(server.requests) == 1, 20)
        await asyncio.sleep(0.3)
        assert not call.events(conversation_pb2.ToolCall)
        wanted = await call.until(conversation_pb2.ToolCall)
        assert call.events(TurnEnded)
        await call.conversation.send_tool_result(conversation_pb2.ToolResult(call_id=wanted.call_id, content="ok"))
        await call.until(TurnReport)
    assert reply_text(call, 0) == "Done."


async def test_a_murmur_lowers_the_reply_and_lets_it_go_on(settings: MeshSettings) -> None:
    murmur = await spoken(settings, "Right.")
    async with scripted(settings, STORY) as (server, there), talk(there) as call:
        await begin_story(call)
        call.say(murmur)
        await call.until(SpeechStarted)
        await call.until(Duck, 2)
        await call.until(TurnReport)
        await asyncio.sleep(0.5)
    assert [duck.gain for duck in call.events(Duck)] == [0.25, 1.0]
    assert not call.events(Interrupted)
    assert len(call.events(TurnEnded)) == 1
    assert server.hang_ups == 0
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    assert pieces[-1].is_last


async def test_a_cough_while_the_assistant_thinks_does_not_cost_the_answer(settings: MeshSettings) -> None:
    slow = says("", "I have thought about it.", gap_s=2.0)
    async with scripted(settings, slow) as (_, there), talk(there) as call:
        await call.conversation.send_text("What do you think?")
        call.say(cough())
        await call.until(TurnReport)
    assert reply_text(call, 0) == "I have thought about it."
    assert reply_audio(call, 0)
    assert not call.events(Interrupted)


async def test_the_replys_own_echo_does_not_interrupt_it(settings: MeshSettings) -> None:
    async with scripted(settings, STORY) as (_, there), talk(there) as call:
        await begin_story(call)
        await call.until(ReplyAudio, 25)
        call.say(echo(reply_audio(call, 0)))
        await call.until(SpeechStarted)
        await call.until(Duck, 2)
    assert not call.events(Interrupted)


@pytest.mark.parametrize("gain", [1.0, 0.25])
async def test_a_scrap_of_the_replys_echo_does_not_interrupt_it(settings: MeshSettings, gain: float) -> None:
    async with scripted(settings, STORY) as (_, there), talk(there) as call:
        await begin_story(call)
        await wait_until(lambda: len(reply_audio(call, 0)) > 6 * 2 * REPLY_HERTZ, 20)
        began_at = next(
            at for at, event in zip(call.arrived_at, call.heard, strict=True) if isinstance(event, ReplyAudio)
        )
        # From the middle of a word to the middle of another, as it is being played.
        for _ in range(3):
            await asyncio.sleep(0.9)
            at_s = time.monotonic() - began_at - 0.15
            heard = reply_audio(call, 0)[2 * round(at_s * REPLY_HERTZ) :][: 2 * round(0.7 * REPLY_HERTZ)]
            call.say(pcm(samples_of(echo(heard)) * np.float32(gain)))
            await asyncio.sleep(0.8)
        await call.until(Duck, 2)
    assert not call.events(Interrupted)
    assert len(call.events(TurnEnded)) == 1


async def test_a_person_who_asks_with_the_replys_own_words_is_heard(settings: MeshSettings) -> None:
    quoted = await spoken(settings, "Once upon a time there was a king?")
    async with scripted(settings, STORY, says("Yes.")) as (_, there), talk(there) as call:
        await begin_story(call)
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(tell_position(call))
            await asyncio.sleep(4)
            call.say(quoted)
            interrupted = await call.until(Interrupted, where=lambda event: event.turn_index == 0)
            telling.cancel()
    assert interrupted.heard_text.startswith("Once upon a time there was a king.")


async def test_words_over_a_reply_take_the_turn(settings: MeshSettings) -> None:
    async with scripted(settings, SLOW_STORY, says("It is Paris.")) as (server, there), talk(there) as call:
        await begin_story(call)
        call.say(question())
        interrupted = await call.until(Interrupted)
        await wait_until(lambda: server.hang_ups == 1)
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
    assert interrupted.turn_index == 0
    assert reply_text(call, 1) == "It is Paris."
    roles = [message["role"] for message in asked(server, 1)]
    assert roles[-1] == "user"
    if interrupted.heard_text:
        assert asked(server, 1)[-2]["content"] == interrupted.heard_text


async def test_a_reply_that_was_sent_whole_is_remembered_as_far_as_it_was_played(settings: MeshSettings) -> None:
    async with scripted(settings, says(*SENTENCES), says("Well.")) as (server, there), talk(there) as call:
        await begin_story(call)
        await call.until(TurnReport)
        await call.conversation.played(0, 3.0)
        await call.conversation.send_text("Go on.")
        interrupted = await call.until(Interrupted)
        # What a client says too late changes nothing.
        await call.conversation.played(0, 20.0)
        await call.until(TurnReport, 2)
    told = "".join(SENTENCES)
    assert told.startswith(interrupted.heard_text)
    assert 0 < len(interrupted.heard_text) < len(told) / 4
    assert asked(server, 1)[-2] == {"role": "assistant", "content": interrupted.heard_text}


async def test_words_while_the_assistant_thinks_belong_to_the_same_turn(settings: MeshSettings) -> None:
    more = await spoken(settings, "And what is the capital of Italy?")
    slow = says("", "This answer comes too late.", gap_s=30.0)
    async with scripted(settings, slow, says("Paris and Rome.")) as (server, there), talk(there) as call:
        await call.conversation.send_text("What is the capital of France?")
        await wait_until(lambda: len(server.requests) == 1)
        call.say(more)
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
    assert reply_text(call, 1) == "Paris and Rome."
    assert [message["role"] for message in asked(server, 1)] == ["system", "user"]
    assert asked(server, 1)[-1]["content"].startswith("What is the capital of France? ")
    assert "Italy" in asked(server, 1)[-1]["content"]


async def test_a_long_wait_for_the_first_word_is_filled(settings: MeshSettings) -> None:
    slow = says("", "Here it is.", gap_s=3.0)
    fillers = {"filler": "Let me see.", "filler_after_s": 0.5}
    async with scripted(settings, slow, **fillers) as (server, there), talk(there) as call:
        await call.conversation.send_text("Find it, please.")
        await call.until(TurnReport)
        await call.conversation.send_text("Thanks.")
        await wait_until(lambda: len(server.requests) == 2)
    assert reply_text(call, 0) == "Let me see. Here it is."
    assert asked(server, 1)[-2]["content"] == "Let me see. Here it is."
