"""The one server of every service: health after warm-up, reflection, channelz, signals and drain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import grpc
import uvloop
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from voxmesh_runtime import logs, telemetry
from voxmesh_runtime.interceptor import ErrorInterceptor
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import Streams

log = logging.getLogger(__name__)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Service(Protocol):
    """What a service gives the server."""

    @property
    def names(self) -> Sequence[str]:
        """Full names of its gRPC services, for health and reflection."""
        ...

    @property
    def streams(self) -> Streams:
        """Its streams."""
        ...

    def register(self, server: grpc.aio.Server) -> None:
        """Add its servicers."""
        ...

    async def start(self) -> None:
        """Load and warm up; the service is healthy after this."""
        ...

    async def stop(self) -> None:
        """Free everything; no stream is open any more."""
        ...


class RunningServer:
    """A server that listens; `port` is the one it got."""

    def __init__(self, service: Service, settings: ServerSettings) -> None:
        self._service = service
        self._settings = settings
        self._health = health.aio.HealthServicer()  # pyright: ignore[reportAttributeAccessIssue] # set at import time
        self._server = grpc.aio.server(
            interceptors=[ErrorInterceptor()],
            options=[
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", 10_000),
                ("grpc.keepalive_timeout_ms", 5_000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.max_ping_strikes", 0),
            ],
        )
        self.port = 0

    async def start(self) -> None:
        """Listen at once, load the model, then turn SERVING.

        Raises:
            OSError: the port is taken or the address is not of this host.
        """
        names = [*self._service.names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        self._service.register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        channelz.add_channelz_servicer(self._server)
        reflection.enable_server_reflection(names, self._server)
        await self._set_health(NOT_SERVING)
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError:
            raise OSError(f"cannot listen on {address}: choose a free port with --port") from None
        await self._server.start()
        log.info("listening", extra={"address": f"{self._settings.host}:{self.port}"})
        await self._service.start()
        self._service.streams.loaded()
        await self._set_health(SERVING)
        log.info("serving", extra={"address": f"{self._settings.host}:{self.port}"})

    async def drain(self) -> None:
        """NOT_SERVING first, then move the streams elsewhere, then end those left."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._settings.drain_delay_s)
        await self._service.streams.drain()

    async def stop(self) -> None:
        """End what is left and free the model."""
        await self._server.stop(grace=1.0)
        await self._service.stop()

    async def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in ("", *self._service.names):
            await self._health.set(name, status)


@asynccontextmanager
async def running(service: Service, settings: ServerSettings) -> AsyncGenerator[RunningServer]:
    """A server for the time of a block, without signals; tests and single-process tools use it."""
    server = RunningServer(service, settings)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


async def _serve(service: Service, settings: ServerSettings) -> None:
    server = RunningServer(service, settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    watch = asyncio.create_task(_watch_parent(settings.parent_pid, stopping))
    starting = asyncio.create_task(server.start())
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await stopping.wait()
            await server.drain()
    finally:
        for task in (starting, stopped, watch):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await server.stop()
        log.info("stopped")


async def _watch_parent(parent_pid: int | None, stopping: asyncio.Event) -> None:
    while parent_pid is not None and os.getppid() == parent_pid:  # noqa: ASYNC110 # a parent's death is no event
        await asyncio.sleep(0.5)
    if parent_pid is not None:
        log.warning("parent is gone")
        stopping.set()


def serve(service: Service, settings: ServerSettings, name: str) -> None:
    """Run a service until SIGTERM or SIGINT: drains, frees the model and returns."""
    logs.configure(settings.log_level)
    flush = telemetry.configure(name, settings.host_name, settings.otlp_endpoint)
    try:
        uvloop.run(_serve(service, settings))
    finally:
        flush()
