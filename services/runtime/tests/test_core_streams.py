"""Streams on a real server: the first message, back-pressure, admission, drain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_runtime import interceptor
from voxmesh_runtime.channels import open_plain_channel
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.server import RunningServer
from voxmesh_testing.streams import StreamMethod, details, exchange, serving, wait_until
from voxmesh_testing.toy import Request, Response, ToyService, ToySettings

pytestmark = pytest.mark.server

CONFIG = Request(config=embed_pb2.EmbeddingConfig())
Method = StreamMethod[Request, Response]


def batch(*texts: str) -> Request:
    return Request(batch=embed_pb2.TextBatch(texts=texts))


@asynccontextmanager
async def toy(**changes: float) -> AsyncGenerator[tuple[Method, ToyService, RunningServer]]:
    settings = ToySettings.model_validate(changes)
    service = ToyService(settings)
    async with serving(service, settings) as (channel, server):
        yield embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed, service, server


async def settled(count: Callable[[], int]) -> None:
    """Wait until a count has stood still for a while: the transport is full."""
    seen = -1
    async with asyncio.timeout(10):
        while seen != (seen := count()):  # noqa: ASYNC110 # standing still is no event
            await asyncio.sleep(0.2)


async def test_answers_come_in_the_order_of_the_messages() -> None:
    async with toy() as (method, _, _), exchange(method, CONFIG, batch("a"), batch("bcd")) as stream:
        await stream.half_close()
        answers = await stream.rest()
    assert [answer.WhichOneof("streaming_response") for answer in answers] == ["ready", "batch", "batch"]
    assert [answer.batch.embeddings[0].values[0] for answer in answers[1:]] == [1, 3]


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([batch("a")], "batch: the first message must be config"),
        ([CONFIG, CONFIG], "config: may only be the first message"),
        ([Request()], "streaming_request: the message is empty"),
        ([CONFIG, Request()], "streaming_request: the message is empty"),
        ([], "config: the stream ended before its first message"),
    ],
    ids=["no config", "two configs", "empty first", "empty second", "nothing"],
)
async def test_messages_out_of_order_are_refused_by_name(messages: list[Request], problem: str) -> None:
    async with toy() as (method, service, _), exchange(method, *messages) as stream:
        await stream.half_close()
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert str(error.details()).startswith(problem)
        assert service.streams.active_count == 0


async def test_a_client_that_sends_nothing_is_let_go() -> None:
    async with toy(config_timeout_s=0.1) as (method, service, _), exchange(method) as stream:
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no config within 0.1 s" in str(error.details())
        assert service.streams.active_count == 0


async def test_a_client_that_does_not_read_stops_the_service_from_writing_and_is_let_go() -> None:
    async with toy(write_timeout_s=0.5) as (method, service, _), exchange(method, CONFIG, batch("flood")) as stream:
        await stream.until("ready")
        await wait_until(lambda: service.sent > 0)
        assert service.streams.active_count == 1
        await wait_until(lambda: service.streams.active_count == 0)
        error = await stream.failure()
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert "read nothing for 0.5 s" in str(error.details())


@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "stays"])
async def test_a_client_that_never_takes_its_status_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, leaves: bool
) -> None:
    monkeypatch.setattr(interceptor, "STATUS_TIMEOUT_S", 60.0 if leaves else 0.3)
    async with toy(write_timeout_s=0.2) as (method, service, _):
        async with exchange(method, CONFIG) as first:
            await first.until("ready")
            before = len(asyncio.all_tasks())
        async with exchange(method, CONFIG, batch("flood")) as stream:
            await wait_until(lambda: service.sent > 0)
            await wait_until(lambda: service.streams.active_count == 0)
            if leaves:
                stream.call.cancel()
            else:
                await wait_until(lambda: len(asyncio.all_tasks()) <= before)
                assert (await stream.failure()).code() == grpc.StatusCode.DEADLINE_EXCEEDED
        await wait_until(lambda: len(asyncio.all_tasks()) <= before)
    assert "Traceback" not in caplog.text


async def test_a_client_that_reads_slowly_is_not_let_go() -> None:
    async with toy(write_timeout_s=0.5) as (method, service, _), exchange(method, CONFIG, batch("flood")) as stream:
        for _ in range(12):
            await stream.until("batch")
            await asyncio.sleep(0.1)
        assert service.streams.active_count == 1


async def test_a_service_that_does_not_read_holds_its_client_back() -> None:
    async with toy() as (method, service, _), exchange(method, CONFIG) as stream:
        await stream.until("ready")
        service.pause.clear()
        message = batch("x" * 50_000)
        written = 0

        async def write() -> None:
            nonlocal written
            while written < 1000:
                await stream.call.write(message)
                written += 1

        writing = asyncio.create_task(write())
        await wait_until(lambda: service.received == 1)
        await settled(lambda: written)
        held_at = written
        assert held_at < 1000
        service.pause.set()
        await wait_until(lambda: written > held_at)
        writing.cancel()
        await asyncio.wait([writing])


async def test_a_client_that_vanishes_frees_its_place() -> None:
    async with toy(max_streams=1) as (method, service, _):
        async with exchange(method, CONFIG) as stream:
            await stream.until("ready")
        await wait_until(lambda: service.streams.active_count == 0, 1)
        async with exchange(method, CONFIG) as stream:
            await stream.until("ready")


async def test_one_stream_too_many_is_told_to_come_back_and_the_others_go_on() -> None:
    async with toy(max_streams=2) as (method, _, _), AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(exchange(method, CONFIG)) for _ in range(2)]
        for stream in streams:
            await stream.until("ready")
        async with exchange(method, CONFIG) as extra:
            error = await extra.failure()
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert [type(detail) for detail in details(error)] == [error_details_pb2.RetryInfo]
        for stream in streams:
            await stream.send(batch("abc"))
            await stream.until("batch")


async def test_a_service_that_loses_its_model_says_so_refuses_new_streams_and_goes_on_with_those_open() -> None:
    async with (
        toy() as (_, service, server),
        open_plain_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        method = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
        health: Any = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())  # pyright: ignore[reportAttributeAccessIssue] # untyped stub
        async with exchange(method, CONFIG) as before:
            await before.until("ready")
            assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
            service.streams.lost("the model is away")
            assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            async with exchange(method, CONFIG) as refused:
                error = await refused.failure()
            assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "the model is away")
            await before.send(batch("a"))
            await before.until("batch")
        service.streams.found()
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        async with exchange(method, CONFIG) as after:
            await after.until("ready")
        health.cancel()


async def test_a_drain_asks_all_to_move_refuses_new_ones_and_ends_those_that_stay() -> None:
    async with toy(drain_s=1.0) as (method, service, server), AsyncExitStack() as stack:
        # Opened before: a channel of ours sends nothing to a server that is NOT_SERVING.
        streams = [await stack.enter_async_context(exchange(method, CONFIG)) for _ in range(3)]
        for stream in streams:
            await stream.until("ready")
        draining = asyncio.create_task(server.drain())
        for stream in streams:
            going_away = await stream.until("going_away")
            assert 0 < seconds_of(going_away.deadline) - time.time() <= 1.0
        async with open_plain_channel(f"127.0.0.1:{server.port}") as channel:
            late = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
            async with exchange(late, CONFIG) as refused:
                error = await refused.failure()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert [type(detail) for detail in details(error)] == [error_details_pb2.RetryInfo]
        await streams[0].send(batch("still served"))
        await streams[0].until("batch")
        assert not draining.done()
        for stream in streams:
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            assert [type(detail) for detail in details(error)] == [error_details_pb2.RetryInfo]
        await draining
        await wait_until(lambda: service.streams.active_count == 0)


async def test_a_drain_is_over_when_the_last_stream_has_moved() -> None:
    async with toy(drain_s=60.0) as (method, _, server), exchange(method, CONFIG) as stream:
        await stream.until("ready")
        draining = asyncio.create_task(server.drain())
        await stream.until("going_away")
        await stream.half_close()
        await stream.rest()
        await asyncio.wait_for(draining, 5)


async def test_a_client_that_does_not_read_does_not_hold_up_a_drain() -> None:
    async with toy(drain_s=0.5) as (method, service, server), exchange(method, CONFIG, batch("flood")) as stream:
        await stream.until("ready")
        await wait_until(lambda: service.sent > 0)
        await asyncio.sleep(0.2)
        await asyncio.wait_for(server.drain(), 5)
        await wait_until(lambda: service.streams.active_count == 0)


async def test_a_server_that_stops_ends_its_streams_with_unavailable() -> None:
    async with toy() as (method, _, server), exchange(method, CONFIG) as stream:
        await stream.until("ready")
        await server.stop()
        assert (await stream.failure()).code() == grpc.StatusCode.UNAVAILABLE
