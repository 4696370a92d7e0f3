"""A coordinator dies, and another one that shares its store goes on: nothing said or answered is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import struct_pb2
from processes import ServiceDied, ServiceProcess
from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis_server import redis_server
from talking import S16, Talk, chat, question, reply_audio, reply_text, talk
from test_coordinator import asked, llm_proxy, says, targets_of
from test_resume import Wire, wired

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_client.events import SessionReplaced
from voxmesh_coordinator.reply.generation import GO_ON
from voxmesh_runtime.channels import open_channel
from voxmesh_testing.llm_server import Play, RecordedUpstream, fragment, recorded_upstream
from voxmesh_testing.streams import exchange, wait_until

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed
ReplyAudio = conversation_pb2.ReplyAudio

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
Stub = conversation_pb2_grpc.ConversationServiceStub
ToolCall = conversation_pb2.ToolCall

TYPED = Request(config=conversation_pb2.ConversationConfig(text_replies_only=True))
HEARD = stt_pb2.RecognitionConfig(audio_format=S16)
STILL_S = 150.0
"""Longest time of a test, in seconds; the run's own limit would end the process in the middle of its loop."""
STORY = [f"This is sentence number {number}. " for number in ("one", "two", "three", "four", "five", "six")]


class Replica(ServiceProcess):
    """A coordinator in a process of its own."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        super().__init__("voxmesh_coordinator", {**environment, "VOXMESH_HOST_NAME": name})
        self.name = name


@dataclass
class Stage:
    """Two replicas behind one wire, with a language model whose answers are fixed."""

    upstream: RecordedUpstream
    wire: Wire
    replicas: tuple[Replica, Replica]
    settings: MeshSettings

    async def take_over(self) -> None:
        """Kill the first replica, and let the client find the second."""
        await self.replicas[0].stop()
        self.wire.lead_to(self.replicas[1].target)


@asynccontextmanager
async def stage(settings: MeshSettings, store: str, **environment: str) -> AsyncGenerator[Stage]:
    """The replicas share a store; a test that stands still fails where it stands."""
    async with asyncio.timeout(STILL_S), recorded_upstream() as upstream, llm_proxy(upstream) as proxy:
        targets = {f"VOXMESH_{name.upper()}": target for name, target in targets_of(settings).items()}
        shared = {**targets, "VOXMESH_LLM_TARGET": proxy, "VOXMESH_SESSION_STORE": store, **environment}
        replicas = (Replica("one", shared), Replica("two", shared))
        try:
            await asyncio.gather(*(each.start() for each in replicas))
            there = settings.model_copy(update={"coordinator_target": replicas[0].target})
            async with wired(there) as (wire, far):
                yield Stage(upstream, wire, replicas, far)
        finally:
            await asyncio.gather(*(each.stop() for each in replicas))


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The embedded store."""
    return f"sqlite://{tmp_path}/sessions.sqlite3"


@asynccontextmanager
async def shared(store: str, folder: Path) -> AsyncGenerator[str]:
    """A store by its name."""
    if store == "sqlite":
        yield f"sqlite://{folder}/sessions.sqlite3"
        return
    async with redis_server(folder) as url:
        yield url


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


def assert_seamless(call: Talk, turn_index: int) -> None:
    """Every piece of a reply's audio follows the one before it."""
    pieces = [piece for piece in call.events(ReplyAudio) if piece.turn_index == turn_index]
    assert [piece.sequence for piece in pieces] == list(range(pieces[0].sequence, pieces[0].sequence + len(pieces)))
    begins = [piece.offset.ToNanoseconds() / 1e9 for piece in pieces]
    ends = np.cumsum([len(piece.data) / 48_000 for piece in pieces])
    assert begins[0] == 0
    assert begins[1:] == pytest.approx(ends[:-1].tolist(), abs=1e-6)
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]


async def hear(call: Talk, turn_index: int) -> None:
    """Play a reply to its end."""
    await call.conversation.played(turn_index, len(reply_audio(call, turn_index)) / 48_000)


async def test_a_coordinator_killed_in_mid_question_is_replaced_and_the_whole_question_heard(
    settings: MeshSettings, store: str
) -> None:
    async with stage(settings, store) as there, talk(there.settings) as call:
        there.upstream.play(says("It is Paris."))
        call.say(question())
        await call.until(SpeechStarted)
        await asyncio.sleep(0.7)
        await there.take_over()
        replaced = await call.until(SessionReplaced)
        await call.until(TurnReport)
        await hear(call, 0)
        await call.conversation.send_text("Thank you.")
        await call.until(TurnReport, 2)
        messages = asked(there.upstream, -1)
    assert replaced.resumed
    assert [ended.turn_index for ended in call.events(TurnEnded)] == [0, 1]
    said = call.events(TurnEnded)[0].text
    assert said.lower().strip("?.") == "what is the capital of france"
    assert reply_text(call, 0) == "It is Paris."
    assert [message["content"] for message in messages[1:]] == [said, "It is Paris.", "Thank you."]
    assert_seamless(call, 0)


def rest_of_story(request: dict[str, Any]) -> Play:
    """The story, from where it was stopped when the model is asked to go on."""
    *_, before, last = request["messages"]
    told = before["content"].strip() if last["content"] == GO_ON else ""
    rest = [sentence for sentence in STORY if sentence.strip() not in told]
    assert "".join(STORY).startswith(told)
    return says(*rest, gap_s=0.5)


async def told(there: Stage, call: Talk, turn_index: int) -> bytes:
    """The audio of the story when nothing comes in between."""
    there.upstream.play(says(*STORY))
    await call.conversation.send_text("Tell me a story.")
    await call.until(TurnReport, where=lambda report: report.turn_index == turn_index)
    return reply_audio(call, turn_index)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_a_coordinator_killed_in_mid_answer_is_replaced_and_the_rest_is_said(
    settings: MeshSettings, tmp_path: Path, kind: str
) -> None:
    async with (
        shared(kind, tmp_path) as store,
        stage(settings, store) as there,
        talk(there.settings) as call,
    ):
        undisturbed = await told(there, call, 0)
        await hear(call, 0)
        there.upstream.play(rest_of_story)
        await call.conversation.send_text("Again, please.")
        await call.until(ReplyAudio, 15, where=lambda piece: piece.turn_index == 1)
        await there.take_over()
        await call.until(TurnReport, 2)
        requests = len(there.upstream.requests)
        await hear(call, 1)
        there.upstream.play(says("Good."))
        await call.conversation.send_text("Thank you.")
        await call.until(TurnReport, 3)
        messages = asked(there.upstream, -1)
    assert [replaced.resumed for replaced in call.events(SessionReplaced)] == [True]
    assert not call.events(TurnFailed)
    assert requests == 2
    assert reply_text(call, 1) == "".join(STORY)
    assert_seamless(call, 1)
    assert reply_audio(call, 1) == undisturbed
    assert [message["content"].strip() for message in messages[-3:]] == [
        "Again, please.",
        "".join(STORY).strip(),
        "Thank you.",
    ]


async def test_a_question_that_is_being_answered_is_not_heard_again(settings: MeshSettings, store: str) -> None:
    async with stage(settings, store) as there, talk(there.settings) as call:
        there.upstream.play(rest_of_story)
        call.say(question())
        await call.until(ReplyAudio, 8)
        await there.take_over()
        await call.until(TurnReport)
        await asyncio.sleep(1.5)
    assert [replaced.resumed for replaced in call.events(SessionReplaced)] == [True]
    assert len(call.events(SpeechStarted)) == len(call.events(TurnEnded)) == 1
    assert reply_text(call, 0) == "".join(STORY)
    assert_seamless(call, 0)


async def test_a_turn_whose_answer_had_not_begun_is_answered(settings: MeshSettings, store: str) -> None:
    async with stage(settings, store) as there, chat(there.settings) as call:
        there.upstream.play(says("Too late.", pause_s=60), says("Here I am."))
        await call.conversation.send_text("Are you there?")
        await call.until(TurnEnded)
        await there.take_over()
        await call.until(TurnReport)
    assert reply_text(call, 0) == "Here I am."
    assert len(call.events(TurnEnded)) == 1
    assert asked(there.upstream, -1)[-1]["content"] == "Are you there?"


async def test_a_text_that_the_dead_coordinator_never_read_is_answered_once(settings: MeshSettings, store: str) -> None:
    async with stage(settings, store) as there, chat(there.settings) as call:
        there.upstream.play(says("Yes."))
        await call.conversation.send_text("First.")
        await call.until(TurnReport)
        there.replicas[0].send(signal.SIGSTOP)
        await call.conversation.send_text("Second.")
        await there.take_over()
        await call.until(TurnReport, 2)
        await call.conversation.send_text("Third.")
        await call.until(TurnReport, 3)
        messages = asked(there.upstream, -1)
    assert [ended.text for ended in call.events(TurnEnded)] == ["First.", "Second.", "Third."]
    said = ["First.", "Yes.", "Second.", "Yes.", "Third."]
    assert [message["content"] for message in messages[1:]] == said


@pytest.mark.parametrize("is_answered", [False, True], ids=["while it runs", "once it has run"])
async def test_a_tool_is_not_run_twice(settings: MeshSettings, store: str, *, is_answered: bool) -> None:
    wants = Play([fragment(0, '{"city": "Paris"}', "weather", "call-1")], finish="tool_calls")
    tool = conversation_pb2.Tool(name="weather", description="Weather of a city", parameters=struct_pb2.Struct())
    async with stage(settings, store) as there, chat(there.settings, tools=[tool]) as call:
        there.upstream.play(wants, *([says("Too late.", pause_s=60)] if is_answered else []), says("It is sunny."))
        await call.conversation.send_text("How is the weather in Paris?")
        wanted = await call.until(ToolCall)
        result = conversation_pb2.ToolResult(call_id=wanted.call_id, content="sunny")
        if is_answered:
            await call.conversation.send_tool_result(result)
            await wait_until(lambda: len(there.upstream.requests) == 2)
        await there.take_over()
        await call.until(SessionReplaced)
        if not is_answered:
            await call.conversation.send_tool_result(result)
        await call.until(TurnReport)
    *_, asks, answer = asked(there.upstream, -1)
    assert (answer["role"], answer["content"]) == ("tool", "sunny")
    assert answer["tool_call_id"] == asks["tool_calls"][0]["id"]
    assert len(call.events(ToolCall)) == 1
    assert reply_text(call, 0) == "It is sunny."


@asynccontextmanager
async def stubs(there: Stage) -> AsyncGenerator[tuple[Stub, Stub]]:
    """Both replicas, without a client library."""
    async with (
        open_channel(there.replicas[0].target) as one,
        open_channel(there.replicas[1].target) as two,
    ):
        yield Stub(one), Stub(two)


async def test_a_session_is_taken_from_a_coordinator_that_lives(settings: MeshSettings, store: str) -> None:
    async with stage(settings, store) as there, stubs(there) as (one, two):
        there.upstream.play(says("One. ", "Two. ", "Three.", gap_s=1.0), says("Two. ", "Three."))
        async with exchange(one.Converse, TYPED) as old:
            started = await old.until("session_started")
            await old.send(Request(text="Count."))
            await old.until("reply_text")
            async with exchange(two.Converse, resume(started, old.seen)) as new:
                await new.until("turn_report")
                error = await old.failure()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    got = [*old.seen, *new.seen]
    assert "".join(response.reply_text.delta for response in got) == "One. Two. Three."
    numbers = [response.sequence for response in got if response.sequence]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("tried", ["nothing", "a guess", "the spent one"])
async def test_another_replica_takes_no_token_but_the_newest(settings: MeshSettings, store: str, tried: str) -> None:
    async with stage(settings, store) as there, stubs(there) as (one, two):
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


async def test_of_clients_that_race_to_resume_one_gets_the_session(settings: MeshSettings, store: str) -> None:
    async with stage(settings, store) as there, stubs(there) as replicas, AsyncExitStack() as stack:
        there.upstream.play(says("Yes."))
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
    assert sum(isinstance(end, conversation_pb2.TurnReport) for end in ends) == 1
    assert len(there.upstream.requests) == 1


@pytest.mark.parametrize("why", ["it took too long", "a goodbye was said"])
async def test_what_is_over_is_over_on_every_replica(settings: MeshSettings, store: str, why: str) -> None:
    async with stage(settings, store, VOXMESH_RESUME_S="0.6") as there, stubs(there) as (one, two):
        async with exchange(one.Converse, TYPED) as stream:
            started = await stream.until("session_started")
            if why == "a goodbye was said":
                await stream.send(Request(goodbye=conversation_pb2.Goodbye()))
                await stream.rest()
            else:
                # A client that says nothing is there all the same.
                await asyncio.sleep(1.5)
                await there.replicas[0].stop()
                await asyncio.sleep(1.0)
        async with exchange(two.Converse, resume(started)) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_audio_that_the_client_has_given_up_is_passed_over(settings: MeshSettings, store: str) -> None:
    silence = bytes(640)
    async with stage(settings, store) as there, stubs(there) as (one, two):
        async with exchange(
            one.Converse, Request(config=conversation_pb2.ConversationConfig(recognition=HEARD))
        ) as old:
            started = await old.until("session_started")
            await old.send(*(audio(number, silence) for number in range(50)))
        async with exchange(two.Converse, resume(started)) as stream:
            again = await stream.until("session_started")
            assert again.next_audio_sequence == 0
            await stream.send(*(audio(number, silence) for number in range(30, 700)))
            acknowledged = await stream.until("audio_acknowledged")
            await stream.send(audio(710, silence))
            error = await stream.failure()
    assert 0 < acknowledged < 700 - 500
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "audio.sequence" in str(error.details())


async def test_a_conversation_goes_on_when_its_store_dies(settings: MeshSettings, tmp_path: Path) -> None:
    async with redis_server(tmp_path) as url, stage(settings, url) as there, chat(there.settings) as call:
        there.upstream.play(says("Yes."))
        await call.conversation.send_text("Are you there?")
        await call.until(TurnReport)
        with suppress(RedisError):
            await Redis.from_url(url).shutdown(nosave=True)
        await call.conversation.send_text("Still?")
        await call.until(TurnReport, 2)
    assert reply_text(call, 1) == "Yes."
    assert not call.events(SessionReplaced)


async def test_a_coordinator_that_stops_hands_its_session_over(settings: MeshSettings, store: str) -> None:
    async with stage(settings, store) as there:
        both = ",".join(replica.target for replica in there.replicas)
        far = there.settings.model_copy(update={"coordinator_target": f"ipv4:{both}"})
        async with chat(far) as call:
            there.upstream.play(says("Yes."))
            await call.conversation.send_text("Are you there?")
            await call.until(TurnReport)
            host = call.conversation.session.services[-1].host
            serving = next(replica for replica in there.replicas if replica.name == host)
            await serving.stop(signal.SIGTERM)
            replaced = await call.until(SessionReplaced)
            await call.conversation.send_text("Still?")
            await call.until(TurnReport, 2)
            messages = asked(there.upstream, -1)
    assert replaced == SessionReplaced("the coordinator asked to move", resumed=True)
    assert call.conversation.session.services[-1].host != host
    assert [message["content"] for message in messages[1:]] == ["Are you there?", "Yes.", "Still?"]


async def test_a_client_behind_one_address_moves_though_its_connection_still_stands(
    settings: MeshSettings, store: str
) -> None:
    async with stage(settings, store) as there, stubs(there) as (one, _), chat(there.settings) as call:
        there.upstream.play(says("Yes."))
        await call.conversation.send_text("Are you there?")
        await call.until(TurnReport)
        async with exchange(one.Converse, TYPED) as stays:
            await stays.until("session_started")
            # As a Service does with a pod that is not ready: new connections lead elsewhere, old ones stay.
            there.wire.lead_to(there.replicas[1].target)
            there.replicas[0].send(signal.SIGTERM)
            replaced = await call.until(SessionReplaced)
            await call.conversation.send_text("Still?")
            await call.until(TurnReport, 2)
            assert call.conversation.session.services[-1].host == "two"
            assert there.replicas[0].is_running
    assert replaced.resumed


@pytest.mark.parametrize("store", ["sqlite:///proc/no/such/file"], ids=["C14"])
async def test_a_replica_that_dies_is_noticed_at_once_and_says_why(store: str) -> None:
    with pytest.raises(ServiceDied, match="sessions cannot be kept in /proc/no/such/file"):
        await Replica("one", {"VOXMESH_SESSION_STORE": store}).start()
