"""A client that loses its connection comes back to the same session: nothing said or answered is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import grpc
import numpy as np
import pytest
from talking import S16, question, reply_audio, reply_text, talk
from test_coordinator import Request, asked, config, coordinator, says, scripted

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_client.events import SessionReplaced
from voxmesh_runtime.channels import open_channel
from voxmesh_testing.streams import exchange, wait_until

pytestmark = pytest.mark.mesh

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
ReplyAudio = conversation_pb2.ReplyAudio
RECOGNITION = stt_pb2.RecognitionConfig(audio_format=S16)


class Wire:
    """The connections to a service, which can be cut or fall silent."""

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.rpartition(":")
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flow = asyncio.Event()
        self._flow.set()
        self._silent: list[asyncio.Event] = []

    def lead_to(self, target: str) -> None:
        """From now on connect to another coordinator."""
        self._host, _, self._port = target.rpartition(":")

    def cut(self) -> None:
        """What a tunnel does to a phone: both ends lose the other, without a word."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()
        for flow in self._silent:
            flow.set()

    def fall_silent(self) -> None:
        """What a router does that forgot its connections: neither end gets anything more, and new ones work."""
        self._silent.append(self._flow)
        self._flow.clear()
        self._flow = asyncio.Event()
        self._flow.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cut for good."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward, away = await asyncio.open_connection(self._host, int(self._port))
        except ConnectionError:
            writer.transport.abort()
            return
        self._ends |= {writer, away}
        flow = self._flow
        await asyncio.gather(_pass(reader, away, flow), _pass(onward, writer, flow))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            await flow.wait()
            writer.write(data)
            await writer.drain()
    await flow.wait()
    writer.close()


@asynccontextmanager
async def wired(settings: MeshSettings) -> AsyncGenerator[tuple[Wire, MeshSettings]]:
    """The same coordinator, behind a wire."""
    wire = Wire(settings.coordinator_target or "")
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        try:
            yield wire, settings.model_copy(update={"coordinator_target": target})
        finally:
            # First: a connection that came while those before it are cut would stay.
            server.close()
            await wire.close()


async def test_a_drop_in_mid_question_loses_no_word_of_it(settings: MeshSettings) -> None:
    async with (
        scripted(settings, says("It is Paris.")) as (server, there),
        wired(there) as (wire, far),
        talk(far) as call,
    ):
        call.say(question())
        await call.until(SpeechStarted)
        await asyncio.sleep(0.7)
        wire.cut()
        replaced = await call.until(SessionReplaced)
        await call.until(TurnReport)
    assert replaced.resumed
    (ended,) = call.events(TurnEnded)
    assert ended.text.lower().strip("?.") == "what is the capital of france"
    assert reply_text(call, 0) == "It is Paris."
    assert len(call.events(SpeechStarted)) == 1
    assert asked(server, -1)[-1]["content"] == ended.text


async def test_a_drop_in_mid_answer_loses_and_doubles_nothing(settings: MeshSettings) -> None:
    sentences = [f"This is sentence number {number}. " for number in range(8)]
    async with (
        scripted(settings, says(*sentences, gap_s=0.4)) as (server, there),
        wired(there) as (wire, far),
        talk(far) as call,
    ):
        await call.conversation.send_text("Count, please.")
        for received in (5, 25):
            await call.until(ReplyAudio, received)
            wire.cut()
            await call.until(SessionReplaced, 1 if received == 5 else 2)
        await call.until(TurnReport)
        await asyncio.sleep(0.3)
    assert all(replaced.resumed for replaced in call.events(SessionReplaced))
    assert len(server.requests) == 1
    assert reply_text(call, 0) == "".join(sentences)
    pieces = call.events(ReplyAudio)
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    ends = np.cumsum([len(piece.data) / 48_000 for piece in pieces])
    begins = [piece.offset.ToNanoseconds() / 1e9 for piece in pieces]
    assert begins[1:] == pytest.approx(ends[:-1].tolist(), abs=0.002)
    assert pieces[-1].is_last
    assert reply_audio(call, 0)


async def test_an_answer_given_while_the_client_was_away_waits_for_it(settings: MeshSettings) -> None:
    async with (
        scripted(settings, says("I waited ", "for you.", gap_s=0.3)) as (server, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(text_replies_only=True)) as stream:
            started = await stream.until("session_started")
            await stream.send(Request(text="Are you there?"))
            await wait_until(lambda: len(server.requests) == 1)
        await asyncio.sleep(1.0)
        resume = conversation_pb2.Resume(session_id=started.session_id, resume_token=started.resume_token)
        async with exchange(stub.Converse, Request(resume=resume)) as stream:
            again = await stream.until("session_started")
            await stream.until("turn_report")
            seen = stream.seen
            await stream.send(Request(goodbye=conversation_pb2.Goodbye()))
    assert again.session_id == started.session_id
    assert again.resume_token != started.resume_token
    assert "".join(response.reply_text.delta for response in seen) == "I waited for you."
    numbers = [response.sequence for response in seen if response.sequence]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_session_that_nobody_comes_back_to_is_ended(settings: MeshSettings) -> None:
    async with (
        coordinator(settings, resume_s=0.5) as (_, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(text_replies_only=True)) as stream:
            started = await stream.until("session_started")
        await asyncio.sleep(1.5)
        resume = conversation_pb2.Resume(session_id=started.session_id, resume_token=started.resume_token)
        async with exchange(stub.Converse, Request(resume=resume)) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("tried", ["nothing", "a guess", "the spent one"])
async def test_only_the_newest_token_resumes_a_session(settings: MeshSettings, tried: str) -> None:
    async with coordinator(settings) as (_, there), open_channel(there.coordinator_target or "") as channel:
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(text_replies_only=True)) as stream:
            started = await stream.until("session_started")
        good = conversation_pb2.Resume(session_id=started.session_id, resume_token=started.resume_token)
        async with exchange(stub.Converse, Request(resume=good)) as stream:
            await stream.until("session_started")
            # Until then the client may not have got the newest one.
            await stream.send(Request(text="Hello."))
            await stream.until("turn_ended")
        tokens = {"nothing": "", "a guess": "x" * 32, "the spent one": started.resume_token}
        bad = conversation_pb2.Resume(session_id=started.session_id, resume_token=tokens[tried])
        async with exchange(stub.Converse, Request(resume=bad)) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_a_resume_takes_the_session_from_a_stream_that_still_seems_open(settings: MeshSettings) -> None:
    async with coordinator(settings) as (_, there), open_channel(there.coordinator_target or "") as channel:
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(text_replies_only=True)) as old:
            started = await old.until("session_started")
            resume = conversation_pb2.Resume(session_id=started.session_id, resume_token=started.resume_token)
            async with exchange(stub.Converse, Request(resume=resume)) as new:
                await new.until("session_started")
                error = await old.failure()
                await new.send(Request(text="Hello."))
                await new.until("turn_report")
    assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_goodbye_ends_a_session_for_good(settings: MeshSettings) -> None:
    async with coordinator(settings) as (_, there), open_channel(there.coordinator_target or "") as channel:
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(recognition=RECOGNITION)) as stream:
            started = await stream.until("session_started")
            await stream.send(Request(goodbye=conversation_pb2.Goodbye()))
            await stream.rest()
        resume = conversation_pb2.Resume(session_id=started.session_id, resume_token=started.resume_token)
        async with exchange(stub.Converse, Request(resume=resume)) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND
