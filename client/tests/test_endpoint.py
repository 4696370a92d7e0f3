"""Opening streams, back-pressure and failures, against real servers on a free port."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_client import Mesh, MeshError, MeshSettings
from voxmesh_client.endpoint import Endpoint
from voxmesh_client.errors import nothing_answers
from voxmesh_client.health import Health
from voxmesh_client.inspection import inspect
from voxmesh_client.patience import is_refused, refusal_is_final
from voxmesh_client.slots import STT, TTS
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unimplemented
from voxmesh_runtime.ports import free_block
from voxmesh_runtime.server import RunningServer, running
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, Streams
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.server

Request = stt_pb2.StreamingRecognizeRequest
Response = stt_pb2.StreamingRecognizeResponse
READY = Response(ready=common_pb2.Ready(model="scripted"))
CONFIG = stt_pb2.RecognitionConfig()
Behaviour = Callable[[AsyncIterator[Request], AnyContext], Awaitable[None]]


class ScriptedSpeech(stt_pb2_grpc.SpeechToTextServiceServicer):
    """Answers streams as a test wants."""

    names = (stt_pb2.DESCRIPTOR.services_by_name["SpeechToTextService"].full_name,)

    def __init__(self, behaviour: Behaviour, settings: ServerSettings, loading: asyncio.Event | None) -> None:
        self.streams = Streams(settings)
        self.opened = 0
        self.ended = 0
        self._behaviour = behaviour
        self._loading = loading

    def register(self, server: grpc.aio.Server) -> None:
        stt_pb2_grpc.add_SpeechToTextServiceServicer_to_server(self, server)

    async def start(self) -> None:
        if self._loading is not None:
            await self._loading.wait()

    async def stop(self) -> None:
        """Nothing to free."""

    async def StreamingRecognize(  # pyright: ignore[reportIncompatibleMethodOverride] # noqa: N802 # the contract's name
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        self.opened += 1
        try:
            await self._behaviour(request_iterator, context)
        finally:
            self.ended += 1

    async def GetModelInfo(  # noqa: N802 # the contract's name
        self, request: stt_pb2.GetModelInfoRequest, context: AnyContext
    ) -> stt_pb2.GetModelInfoResponse:
        del request, context
        return stt_pb2.GetModelInfoResponse(model_info=common_pb2.ModelInfo(model="scripted"))


@asynccontextmanager
async def speech(behaviour: Behaviour, **limits: float) -> AsyncGenerator[tuple[Mesh, ScriptedSpeech]]:
    """A mesh whose speech-to-text service behaves so."""
    settings = ServerSettings()
    service = ScriptedSpeech(behaviour, settings, None)
    async with running(service, settings) as server:
        chosen = MeshSettings(stt_target=f"127.0.0.1:{server.port}").model_copy(update=limits)
        async with Mesh(chosen) as mesh:
            yield mesh, service


async def echo(requests: AsyncIterator[Request], context: AnyContext) -> None:
    """Accept, then answer every audio message with its length."""
    await anext(aiter(requests))
    await context.write(READY)
    async for request in requests:
        result = stt_pb2.RecognitionResult(transcript=str(len(request.audio)), is_final=True)
        await context.write(Response(result=result))


async def pieces(*data: bytes) -> AsyncGenerator[bytes]:
    for each in data:
        yield each


async def transcripts(mesh: Mesh, audio: AsyncGenerator[bytes]) -> list[str]:
    return [result.transcript async for result in mesh.speech_to_text.transcribe(audio, CONFIG)]


async def test_answers_come_while_audio_is_still_sent() -> None:
    answered = asyncio.Event()

    async def audio() -> AsyncGenerator[bytes]:
        yield b"ab"
        await asyncio.wait_for(answered.wait(), 10)
        yield b"abcd"

    seen: list[str] = []
    async with speech(echo) as (mesh, _):
        async for result in mesh.speech_to_text.transcribe(audio(), CONFIG):
            seen.append(result.transcript)
            answered.set()
    assert seen == ["2", "4"]


async def test_where_nothing_listens_the_error_says_how_to_start_it() -> None:
    port = free_block(7)
    started = time.monotonic()
    async with Mesh(MeshSettings(base_port=port, connect_timeout_s=100)) as mesh:
        with pytest.raises(MeshError) as caught:
            await transcripts(mesh, pieces(b"ab"))
        with pytest.raises(MeshError, match="nothing answers"):
            await mesh.speech_to_text.info()
    line = f"stt: nothing answers at 127.0.0.1:{port + 2}: start it with `voxmesh up --base-port {port}`"
    assert str(caught.value) == line
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert not caught.value.may_retry
    # It did not wait for as long as it might have.
    assert time.monotonic() - started < 60


async def test_a_service_that_comes_back_is_waited_for_by_those_who_know_that_it_does() -> None:
    port = free_block(7)
    settings = ServerSettings(port=port + 2)
    endpoint = Endpoint(STT, MeshSettings(base_port=port, connect_timeout_s=20))
    method = stt_pb2_grpc.SpeechToTextServiceStub(endpoint.channel).StreamingRecognize
    opening = asyncio.create_task(endpoint.open(method, Request(config=CONFIG), patience_s=20))
    await asyncio.sleep(0.5)
    async with running(ScriptedSpeech(echo, settings, None), settings):
        stream = await opening
        assert stream.ready.model == "scripted"
        stream.cancel()
    await endpoint.close()


@pytest.mark.parametrize(
    ("target", "patience_s", "final"),
    [
        ("127.0.0.1:50052", None, True),
        ("localhost:50052", None, True),
        ("dns:///[::1]:50052", None, True),
        ("unix:///run/stt.sock", None, True),
        ("127.0.0.1:50052", 30.0, False),
        ("stt:50052", None, False),
        ("dns:///stt.example:50052", None, False),
        ("10.0.0.7:50052", None, False),
    ],
)
def test_a_refusal_is_final_on_this_machine_unless_a_patience_is_named(
    target: str, patience_s: float | None, *, final: bool
) -> None:
    assert refusal_is_final(target, patience_s) is final


@pytest.mark.parametrize(
    ("target", "advice"),
    [
        ("127.0.0.1:50052", "start it with `voxmesh up`"),
        ("localhost:51002", "start it with `voxmesh up --base-port 51000`"),
        ("127.0.0.1:1", "start it with `voxmesh up`"),
        ("unix:///run/stt.sock", "start it with `voxmesh up`"),
        ("gpu.example:50052", "check the address, and that it runs there"),
    ],
)
def test_the_advice_starts_the_service_where_it_was_looked_for(target: str, advice: str) -> None:
    assert nothing_answers("stt", target).what_to_do == advice


@pytest.mark.parametrize("target", ["127.0.0.1:{}", "localhost:{}", "dns:///127.0.0.1:{}", "ipv4:127.0.0.1:{}"])
async def test_nobody_listens_until_somebody_does(target: str) -> None:
    place = target.format(port := free_block(1))
    assert await is_refused(place)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    async with server:
        assert not await is_refused(place)


@pytest.mark.parametrize("target", ["unix:///nowhere.sock", "127.0.0.1", "dns://8.8.8.8/localhost:1", "what:is:this"])
async def test_what_cannot_be_told_at_once_is_not_refused(target: str) -> None:
    assert not await is_refused(target)


async def test_a_service_that_loads_its_model_is_told_from_one_that_is_not_there() -> None:
    settings = ServerSettings(port=free_block(7) + 2)
    loaded = asyncio.Event()
    server = RunningServer(ScriptedSpeech(echo, settings, loaded), settings)
    starting = asyncio.create_task(server.start())
    try:
        await wait_until(lambda: server.port != 0)
        async with Mesh(MeshSettings(base_port=settings.port - 2, connect_timeout_s=0.5)) as mesh:
            with pytest.raises(MeshError, match="is loading its model or stopping"):
                await transcripts(mesh, pieces(b"ab"))
            reports = await inspect(mesh, (STT, TTS))
            assert [report.health for report in reports] == [Health.NOT_SERVING, Health.DOWN]
        loaded.set()
        await starting
    finally:
        await server.stop()


async def test_a_full_service_is_tried_again_after_the_time_it_asks_for() -> None:
    refusals = [Overloaded("full", retry_after_s=0.2)] * 2
    times: list[float] = []

    async def full_twice(requests: AsyncIterator[Request], context: AnyContext) -> None:
        times.append(time.monotonic())
        if refusals:
            raise refusals.pop()
        await echo(requests, context)

    async with speech(full_twice) as (mesh, service):
        assert await transcripts(mesh, pieces(b"ab")) == ["2"]
    assert service.opened == 3
    assert all(later - earlier >= 0.19 for earlier, later in itertools.pairwise(times))


async def test_a_service_that_stays_full_is_given_up_with_its_advice() -> None:
    async def full(requests: AsyncIterator[Request], context: AnyContext) -> None:
        del requests, context
        raise Overloaded("all 16 streams are in use", retry_after_s=0.3)

    async with speech(full, connect_timeout_s=0.5) as (mesh, _):
        with pytest.raises(MeshError) as caught:
            await transcripts(mesh, pieces(b"ab"))
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.retry_after_s == pytest.approx(0.3)
    assert str(caught.value) == "stt: all 16 streams are in use: try again in 0.3 s"


@pytest.mark.parametrize("size", [5 * 1024 * 1024, 17 * 1024 * 1024], ids=["C9-service", "C9-client"])
async def test_a_message_that_is_too_large_is_tried_once_and_says_what_to_do(size: int) -> None:
    config = stt_pb2.RecognitionConfig(biasing=stt_pb2.Biasing(context="x" * size))
    async with speech(echo) as (mesh, service):
        with pytest.raises(MeshError, match=r"larger than max .* vs\. \d+\): .* send less at once") as caught:
            async for _ in mesh.speech_to_text.transcribe(pieces(b"ab"), config):
                pass
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not caught.value.may_retry
    assert service.opened <= 1


async def test_a_limit_without_a_time_to_come_back_is_not_tried_again() -> None:
    async def spent(requests: AsyncIterator[Request], context: AnyContext) -> None:
        del requests
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the quota of today is spent")

    async with speech(spent) as (mesh, service):
        with pytest.raises(MeshError, match="does not say when to try again"):
            await transcripts(mesh, pieces(b"ab"))
    assert service.opened == 1


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (InvalidArgument("config.audio_format", "must be set"), "config.audio_format: must be set"),
        (FailedPrecondition("model", "big", "model 'big' is not loaded"), "see `voxmesh models`"),
        (Unimplemented("words", "no word offsets", ["qwen_asr"]), "engines that can: qwen_asr"),
        (ValueError("a secret"), "the service's log says why"),
    ],
)
async def test_a_refusal_is_not_repeated_and_says_what_to_do(refusal: Exception, advice: str) -> None:
    async def refuses(requests: AsyncIterator[Request], context: AnyContext) -> None:
        del requests, context
        raise refusal

    async with speech(refuses) as (mesh, service):
        with pytest.raises(MeshError) as caught:
            await transcripts(mesh, pieces(b"ab"))
    assert service.opened == 1
    assert advice in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_wrong_fields_are_told_one_by_one() -> None:
    async def refuses(requests: AsyncIterator[Request], context: AnyContext) -> None:
        del requests, context
        raise InvalidArgument("config.model", "is unknown")

    async with speech(refuses) as (mesh, _):
        with pytest.raises(MeshError) as caught:
            await transcripts(mesh, pieces(b"ab"))
    violation = caught.value.violations[0]
    assert (violation.field, violation.problem) == ("config.model", "is unknown")


async def test_a_failure_after_the_first_answer_is_not_repeated() -> None:
    async def breaks(requests: AsyncIterator[Request], context: AnyContext) -> None:
        await anext(aiter(requests))
        await context.write(READY)
        await anext(aiter(requests))
        raise Overloaded("too much")

    async with speech(breaks) as (mesh, service):
        with pytest.raises(MeshError, match="too much"):
            await transcripts(mesh, pieces(b"ab", b"cd"))
    assert service.opened == 1


async def test_a_service_that_never_answers_is_given_up() -> None:
    async def silent(requests: AsyncIterator[Request], context: AnyContext) -> None:
        del context
        async for _ in requests:
            pass
        await asyncio.sleep(60)

    async with speech(silent, answer_timeout_s=0.3) as (mesh, service):
        with pytest.raises(MeshError, match="no answer from") as caught:
            await transcripts(mesh, pieces(b"ab"))
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await wait_until(lambda: service.ended == 1)


async def test_a_stream_has_a_deadline() -> None:
    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b"ab"
            await asyncio.sleep(0.05)

    async with speech(echo, stream_timeout_s=0.5) as (mesh, _):
        with pytest.raises(MeshError) as caught:
            await transcripts(mesh, endless())
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_what_the_audio_source_raises_reaches_the_caller_and_ends_the_stream() -> None:
    async def damaged() -> AsyncGenerator[bytes]:
        yield b"ab"
        raise OSError("the file is damaged")

    async with speech(echo) as (mesh, service):
        with pytest.raises(OSError, match="the file is damaged"):
            await transcripts(mesh, damaged())
        await wait_until(lambda: service.ended == 1)


async def test_a_caller_that_leaves_frees_the_stream() -> None:
    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b"ab"
            await asyncio.sleep(0.01)

    async with speech(echo) as (mesh, service):
        results = mesh.speech_to_text.transcribe(endless(), CONFIG)
        await anext(results)
        await results.aclose()
        await wait_until(lambda: service.ended == 1)


async def test_a_service_that_does_not_read_holds_the_sender_back() -> None:
    taken = 0

    async def audio() -> AsyncGenerator[bytes]:
        nonlocal taken
        for _ in range(5000):
            taken += 1
            yield bytes(60_000)

    async def stuck(requests: AsyncIterator[Request], context: AnyContext) -> None:
        await anext(aiter(requests))
        await context.write(READY)
        await asyncio.sleep(1)
        raise Overloaded("slept enough")

    async with speech(stuck) as (mesh, _):
        with pytest.raises(MeshError, match="slept enough"):
            await transcripts(mesh, audio())
    assert taken < 1000  # of 300 MB, little was taken from the source


async def test_cancelling_the_caller_cancels_the_stream() -> None:
    async def quiet() -> AsyncGenerator[bytes]:
        yield b"ab"
        await asyncio.sleep(60)

    async with speech(echo) as (mesh, service):
        asking = asyncio.create_task(transcripts(mesh, quiet()))
        await wait_until(lambda: service.opened == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await wait_until(lambda: service.ended == 1)
