"""What every streaming service must do, whatever its slot; each slot's suite adds its own.

A slot's suite subclasses `StreamConformance`, names its stream and messages, and engines
subclass that with their engine's name. The tests then run on a real server with the real model.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voxmesh_runtime.channels import open_plain_channel
from voxmesh_runtime.server import RunningServer, Service
from voxmesh_runtime.settings import ServerSettings
from voxmesh_testing.streams import Exchange, details, exchange, serving, wait_until

FREED_WITHIN_S = 1.0
"""Time in which a service frees what a vanished client held."""


class StreamConformance:
    """Rules of every stream: config first, errors with details, limits, cancellation, drain."""

    settings: ClassVar[dict[str, Any]] = {"max_streams": 3}

    @abstractmethod
    def service(self, settings: ServerSettings) -> Service:
        """The service under test, with its engine not yet loaded."""

    @abstractmethod
    def method(self, channel: grpc.aio.Channel) -> Any:  # the slot's stub method
        """The slot's streaming method."""

    @abstractmethod
    def config(self, **changes: Any) -> Any:  # the slot's request
        """A first message that the engine accepts, with fields of its config replaced."""

    @abstractmethod
    def work(self) -> Sequence[Any]:
        """Messages that, after the config, start work that the engine is busy with for a while."""

    def least_work(self) -> Sequence[Any]:
        """Messages that, after the config, are answered by something, soon."""
        return self.work()

    @abstractmethod
    def empty(self) -> Any:  # the slot's request
        """A message with nothing set."""

    def server_settings(self, **changes: Any) -> ServerSettings:
        """Settings of the server under test."""
        return ServerSettings(**{**self.settings, **changes})

    @asynccontextmanager
    async def served(self, **changes: Any) -> AsyncGenerator[tuple[Any, RunningServer, Service]]:
        """A server, with the slot's streaming method on a channel to it."""
        settings = self.server_settings(**changes)
        service = self.service(settings)
        async with serving(service, settings) as (channel, server):
            yield self.method(channel), server, service

    @asynccontextmanager
    async def stream(self, **changes: Any) -> AsyncGenerator[tuple[Exchange[Any, Any], Service]]:
        """A stream whose config is accepted."""
        async with self.served() as (method, _, service), exchange(method, self.config(**changes)) as stream:
            await stream.until("ready")
            yield stream, service

    async def test_ready_names_the_model_engine_and_host(self) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config()) as stream:
            ready = await stream.until("ready")
            assert ready.model
            assert ready.engine
            assert ready.host

    async def test_config_followed_by_half_close_ends_well(self) -> None:
        async with self.stream() as (stream, service):
            await stream.half_close()
            await stream.rest()
            await wait_until(lambda: service.streams.active_count == 0, FREED_WITHIN_S)

    async def test_a_message_before_the_config_is_refused_by_name(self) -> None:
        async with self.served() as (method, _, _), exchange(method, *self.work()[:1]) as stream:
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "first message must be config" in str(error.details())

    async def test_a_second_config_is_refused(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(self.config())
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert any(isinstance(detail, error_details_pb2.BadRequest) for detail in details(error))

    async def test_an_empty_message_is_refused(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(self.empty())
            assert (await stream.failure()).code() == grpc.StatusCode.INVALID_ARGUMENT

    async def test_a_stream_without_any_message_is_refused(self) -> None:
        async with self.served() as (method, _, _), exchange(method) as stream:
            await stream.half_close()
            assert (await stream.failure()).code() == grpc.StatusCode.INVALID_ARGUMENT

    async def test_a_silent_client_does_not_hold_a_stream(self) -> None:
        async with self.served(config_timeout_s=0.1) as (method, _, service), exchange(method) as stream:
            assert (await stream.failure()).code() == grpc.StatusCode.DEADLINE_EXCEEDED
            assert service.streams.active_count == 0

    @pytest.mark.parametrize("model", ["no/such-model", "x" * 8000, "ಕ" * 8000], ids=["short", "C9-x", "C9-kn"])
    async def test_a_model_that_is_not_loaded_is_refused(self, model: str) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config(model=model)) as stream:
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert any(isinstance(detail, error_details_pb2.ResourceInfo) for detail in details(error))

    async def test_streams_over_the_limit_are_refused_and_the_others_go_on(self) -> None:
        async with self.served() as (method, _, _):
            calls = [method() for _ in range(self.settings["max_streams"])]
            streams = [Exchange[Any, Any](call) for call in calls]
            for stream in streams:
                await stream.send(self.config())
                await stream.until("ready")
            async with exchange(method, self.config()) as extra:
                error = await extra.failure()
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert any(isinstance(detail, error_details_pb2.RetryInfo) for detail in details(error))
            for stream in streams:
                await stream.half_close()
                await stream.rest()

    async def test_a_message_over_the_limit_is_refused_and_the_process_goes_on(self) -> None:
        oversized = self.config(model="x" * (8 * 1024 * 1024))
        async with self.served() as (method, _, _):
            async with exchange(method) as stream:
                await stream.send(oversized)
                assert (await stream.failure()).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            async with exchange(method, self.config()) as stream:
                await stream.until("ready")

    async def test_a_client_that_vanishes_in_mid_work_frees_everything(self) -> None:
        async with self.stream() as (stream, service):
            before = asyncio.all_tasks()
            await stream.send(*self.work())
            await asyncio.sleep(0.05)
            stream.call.cancel()
            await wait_until(lambda: service.streams.active_count == 0, FREED_WITHIN_S)
            await wait_until(lambda: len(asyncio.all_tasks()) <= len(before), FREED_WITHIN_S)

    async def test_a_deadline_ends_the_stream_and_frees_it(self) -> None:
        async with self.served() as (method, _, service), exchange(method, self.config(), timeout=0.2) as stream:
            assert (await stream.failure()).code() == grpc.StatusCode.DEADLINE_EXCEEDED
            await wait_until(lambda: service.streams.active_count == 0, FREED_WITHIN_S)

    async def test_a_draining_server_asks_to_move_and_then_ends_the_stream(self) -> None:
        async with self.served(drain_s=0.3) as (method, server, _), exchange(method, self.config()) as stream:
            await stream.until("ready")
            draining = asyncio.create_task(server.drain())
            going_away = await stream.until("going_away")
            assert going_away.deadline.seconds > 0
            async with exchange(method, self.config()) as late:
                assert (await late.failure()).code() == grpc.StatusCode.UNAVAILABLE
            assert (await stream.failure()).code() == grpc.StatusCode.UNAVAILABLE
            await draining

    async def test_health_is_serving_once_the_model_is_warm(self) -> None:
        settings = self.server_settings()
        service = self.service(settings)
        async with (
            serving(service, settings) as (_, server),
            # A channel of ours would hide a server that is not healthy.
            open_plain_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            stub = health_pb2_grpc.HealthStub(channel)
            for name in ("", *service.names):
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))  # pyright: ignore[reportAttributeAccessIssue] # untyped stub
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
            await server.drain()
            answer = await stub.Check(health_pb2.HealthCheckRequest())  # pyright: ignore[reportAttributeAccessIssue] # the same
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
