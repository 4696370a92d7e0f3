"""The coordinator's rules, with real services beside it and language models whose answers are fixed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.rpc import error_details_pb2
from talking import S16, Talk, chat, question, reply_text, talk

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_client import MeshSettings
from voxmesh_coordinator.servicer import CoordinatorService
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_llm_proxy.endpoint import RemoteEndpoint
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_routing.settings import BackendSettings
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import RunningServer, running
from voxmesh_testing.llm_server import Play, RecordedUpstream, fragment, recorded_upstream
from voxmesh_testing.llm_server import text as delta
from voxmesh_testing.streams import details, exchange, wait_until
from voxmesh_tts.servicer import TtsService
from voxmesh_tts.settings import TtsSettings

pytestmark = pytest.mark.mesh

Request = conversation_pb2.ConverseRequest
Response = conversation_pb2.ConverseResponse
TurnReport = conversation_pb2.TurnReport
TurnFailed = conversation_pb2.TurnFailed


def says(*pieces: str, **how: Any) -> Play:
    """An answer of fixed pieces."""
    return Play([delta(piece) for piece in pieces], **how)


def targets_of(settings: MeshSettings) -> dict[str, Any]:
    """The coordinator's settings for the services of a mesh."""
    slots = enumerate(("turn", "stt", "tts", "llm", "vlm"), 1)
    return {f"{slot}_target": f"127.0.0.1:{settings.base_port + offset}" for offset, slot in slots}


@asynccontextmanager
async def coordinator(
    settings: MeshSettings, **changes: Any
) -> AsyncGenerator[tuple[CoordinatorService, MeshSettings]]:
    """A coordinator of this process, in front of the mesh's services or of the targets given."""
    chosen: dict[str, Any] = {**targets_of(settings), "connect_timeout_s": 2.0, **changes}
    service = CoordinatorService(CoordinatorSettings(**chosen))
    async with running(service, service.streams.settings) as server:
        target = f"127.0.0.1:{server.port}"
        yield service, settings.model_copy(update={"coordinator_target": target})


@asynccontextmanager
async def llm_proxy(server: RecordedUpstream, **changes: Any) -> AsyncGenerator[str]:
    """The target of a language model service in front of an upstream."""
    settings = LlmSettings(upstream_url=server.url, **changes)
    async with running(LlmService(RemoteEndpoint(server.url, settings), settings), settings) as proxy:
        yield f"127.0.0.1:{proxy.port}"


@asynccontextmanager
async def scripted(
    settings: MeshSettings, *plays: Play, **changes: Any
) -> AsyncGenerator[tuple[RecordedUpstream, MeshSettings]]:
    """A coordinator whose language model gives fixed answers."""
    async with (
        recorded_upstream() as server,
        llm_proxy(server) as target,
        coordinator(settings, llm_target=target, **changes) as (_, there),
    ):
        server.play(*plays)  # from here on: the proxy has warmed up
        yield server, there


def asked(server: RecordedUpstream, number: int) -> list[dict[str, Any]]:
    """The messages of one request, from 0."""
    return server.requests[number]["messages"]


async def ask(call: Talk, text: str, turn_index: int) -> TurnReport:
    """A typed turn, to its end."""
    await call.conversation.send_text(text)
    return await call.until(TurnReport, where=lambda report: report.turn_index == turn_index)


async def test_the_language_model_is_told_the_turns_before(settings: MeshSettings) -> None:
    async with (
        scripted(settings, says("Hello ", "Ada.")) as (server, there),
        chat(there, system_prompt="Be kind.") as call,
    ):
        await ask(call, "My name is Ada.", 0)
        await ask(call, "What is my name?", 1)
    assert [(message["role"], message["content"]) for message in asked(server, 1)] == [
        ("system", "Be kind."),
        ("user", "My name is Ada."),
        ("assistant", "Hello Ada."),
        ("user", "What is my name?"),
    ]


async def test_an_interruption_hangs_up_on_the_upstream_and_history_keeps_what_was_heard(
    settings: MeshSettings,
) -> None:
    answer = says("One two three. ", *["And so on and on it goes. "] * 200, gap_s=0.05)
    async with scripted(settings, answer) as (server, there), talk(there) as call:
        await call.conversation.send_text("Count.")
        await call.until(conversation_pb2.ReplyAudio, 5)
        await call.conversation.interrupt()
        interrupted = await call.until(conversation_pb2.Interrupted)
        await wait_until(lambda: server.hang_ups == 1)
        await call.conversation.send_text("Go on.")
        await wait_until(lambda: len(server.requests) == 2)
    roles = [message["role"] for message in asked(server, 1)]
    if interrupted.heard_text:
        assert asked(server, 1)[-2] == {"role": "assistant", "content": interrupted.heard_text}
    else:
        assert roles == ["system", "user"]
    assert "And so on and on it goes. And so on" not in interrupted.heard_text


async def test_a_tool_is_called_and_its_result_goes_back_to_the_model(settings: MeshSettings) -> None:
    wants = Play([fragment(0, '{"city": "Paris"}', "weather", "call-1")], finish="tool_calls")
    tool = conversation_pb2.Tool(name="weather", description="Weather of a city", parameters=struct_pb2.Struct())
    async with scripted(settings, wants, says("It is sunny.")) as (server, there), chat(there, tools=[tool]) as call:
        await call.conversation.send_text("How is the weather in Paris?")
        wanted = await call.until(conversation_pb2.ToolCall)
        assert (wanted.name, wanted.arguments["city"]) == ("weather", "Paris")
        await call.conversation.send_tool_result(conversation_pb2.ToolResult(call_id=wanted.call_id, content="sunny"))
        await call.until(TurnReport)
    answer = asked(server, 1)[-1]
    assert (answer["role"], answer["content"], answer["tool_call_id"]) == ("tool", "sunny", "call-1")
    assert reply_text(call, 0) == "It is sunny."


async def test_streams_move_between_turns_when_their_server_goes_away(settings: MeshSettings) -> None:
    @asynccontextmanager
    async def tts() -> AsyncGenerator[tuple[TtsService, RunningServer]]:
        own = TtsSettings(drain_s=10.0)
        service = TtsService(EngineHost.of("tts", own), own)
        async with running(service, own) as server:
            yield service, server

    async with tts() as one, tts() as two:
        target = f"ipv4:127.0.0.1:{one[1].port},127.0.0.1:{two[1].port}"
        async with scripted(settings, says("All is well."), tts_target=target) as (_, there), talk(there) as call:
            await ask(call, "How are you?", 0)
            used, other = (one, two) if one[0].streams.active_count else (two, one)
            draining = asyncio.create_task(used[1].drain())
            await ask(call, "And now?", 1)
            await wait_until(lambda: other[0].streams.active_count == 1)
            await asyncio.wait_for(draining, 5)
            await ask(call, "Still?", 2)
    assert not call.events(TurnFailed)


async def test_a_client_that_vanishes_frees_every_stream_within_a_second(settings: MeshSettings) -> None:
    channel = open_channel(f"127.0.0.1:{settings.base_port + 2}")
    stt = stt_pb2_grpc.SpeechToTextServiceStub(channel)

    async def open_streams() -> int:
        info: stt_pb2.GetModelInfoResponse = await stt.GetModelInfo(stt_pb2.GetModelInfoRequest())
        return info.model_info.active_streams

    async with coordinator(settings) as (service, there):
        before = await open_streams()
        async with talk(there) as call:
            call.say(question())
            await asyncio.sleep(1.5)
            assert await open_streams() == before + 1
        await wait_until(lambda: service.streams.active_count == 0, 1.0)
        await asyncio.sleep(0.5)
        assert await open_streams() == before
    await channel.close()


async def test_a_client_that_says_goodbye_and_hangs_up_at_once_leaves_no_stream_behind(settings: MeshSettings) -> None:
    async with (
        open_channel(f"127.0.0.1:{settings.base_port + 2}") as channel,
        # Of such a client the coordinator may see no more than a stream that was cut.
        coordinator(settings, resume_s=0.2) as (service, there),
    ):
        stt = stt_pb2_grpc.SpeechToTextServiceStub(channel)
        stub_channel = open_channel(there.coordinator_target or "")
        stub = conversation_pb2_grpc.ConversationServiceStub(stub_channel)
        for pause_s in (0.0, 0.001, 0.002, 0.005, 0.01) * 4:
            async with exchange(stub.Converse, config(recognition=RECOGNITION)) as stream:
                await stream.until("session_started")
                await stream.half_close()
                await asyncio.sleep(pause_s)
        await wait_until(lambda: service.streams.active_count == 0, 1.0)
        await asyncio.sleep(0.5)
        info: stt_pb2.GetModelInfoResponse = await stt.GetModelInfo(stt_pb2.GetModelInfoRequest())
        assert info.model_info.active_streams == 0
        await stub_channel.close()


def config(**fields: Any) -> Request:
    """A first message."""
    return Request(config=conversation_pb2.ConversationConfig(**fields))


RECOGNITION = stt_pb2.RecognitionConfig(audio_format=S16)


def audio(data: bytes, sequence: int = 0) -> Request:
    """A microphone message."""
    return Request(audio=conversation_pb2.AudioChunk(sequence=sequence, data=data))


BAD_STREAMS = {
    "a message before the config": ([audio(b"\0\0")], "first message must be config or resume"),
    "a second config": ([config(), config()], "config"),
    "an empty message": ([config(), Request()], "converse_request"),
    "rate 0": (
        [config(recognition=stt_pb2.RecognitionConfig(audio_format=common_pb2.AudioFormat(encoding=S16.encoding)))],
        "config.recognition.audio_format.sample_rate_hertz",
    ),
    "an unknown language": (
        [config(recognition=stt_pb2.RecognitionConfig(audio_format=S16, language_codes=["tlh"]))],
        "language_codes[0]",
    ),
    "odd audio": ([config(recognition=RECOGNITION), audio(b"\0\0\0")], "audio.data"),
    "no audio": ([config(recognition=RECOGNITION), audio(b"")], "audio.data"),
    "a gap in the audio": ([config(recognition=RECOGNITION), audio(b"\0\0", 5)], "audio.sequence"),
    "audio without recognition": ([config(), audio(b"\0\0")], "config has no recognition"),
    "a text of 1 MB": (
        [config(), Request(text="x" * 1_000_000)],
        "text: must have at most 32000 characters, not 1000000",
    ),
    "an empty text": ([config(), Request(text=" ")], "text"),
    "an empty image": ([config(), Request(image=conversation_pb2.Image())], "image.data"),
    "a result nobody waits for": (
        [config(), Request(tool_result=conversation_pb2.ToolResult(call_id="x"))],
        "tool_result.call_id",
    ),
}


@pytest.mark.parametrize("case", BAD_STREAMS)
async def test_bad_input_is_refused_by_name(settings: MeshSettings, case: str) -> None:
    messages, expected = BAD_STREAMS[case]
    async with open_channel(f"127.0.0.1:{settings.base_port}") as channel:
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, *messages) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error.details()
    assert expected in str(error.details())


async def test_an_unknown_voice_is_refused(settings: MeshSettings) -> None:
    async with open_channel(f"127.0.0.1:{settings.base_port}") as channel:
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(voice="nobody")) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert "nobody" in str(error.details())


async def test_a_session_whose_language_is_named_begins_at_the_backends_for_it(
    settings: MeshSettings, caplog: pytest.LogCaptureFixture
) -> None:
    other = BackendSettings(target="127.0.0.1:9", languages=("ta",))
    english = (BackendSettings(target=f"127.0.0.1:{settings.base_port + slot}", languages=("en",)) for slot in (2, 3))
    backends = {f"{slot}_backends": (other, own) for slot, own in zip(("stt", "tts"), english, strict=True)}
    recognition = stt_pb2.RecognitionConfig(audio_format=S16, language_codes=["en"])
    async with (
        coordinator(settings, **backends) as (_, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(recognition=recognition)) as stream:
            await stream.until("session_started")
    # Nobody is at the other one: it was not even tried.
    assert "a backend is left" not in caplog.messages


async def test_an_unknown_session_is_not_resumed(settings: MeshSettings) -> None:
    async with open_channel(f"127.0.0.1:{settings.base_port}") as channel:
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        resume = Request(resume=conversation_pb2.Resume(session_id="gone"))
        async with exchange(stub.Converse, resume) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_conversations_over_the_limit_are_refused_with_a_time_to_retry(settings: MeshSettings) -> None:
    async with (
        coordinator(settings, max_streams=1) as (_, there),
        open_channel(there.coordinator_target or "") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config()) as first:
            await first.until("session_started")
            async with exchange(stub.Converse, config()) as second:
                error = await second.failure()
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert any(isinstance(detail, error_details_pb2.RetryInfo) for detail in details(error))


async def test_a_draining_coordinator_asks_its_clients_to_move_and_finishes(settings: MeshSettings) -> None:
    service = CoordinatorService(CoordinatorSettings(drain_s=5.0, **targets_of(settings)))
    async with (
        running(service, service.streams.settings) as server,
        open_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        async with exchange(stub.Converse, config(text_replies_only=True)) as stream:
            await stream.until("session_started")
            draining = asyncio.create_task(server.drain())
            await stream.until("going_away")
            await stream.half_close()
            await stream.rest()
            await asyncio.wait_for(draining, 2)
