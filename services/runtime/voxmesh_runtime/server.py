"""The one server of every service: health after warm-up, reflection, channelz, signals and drain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import grpc
import uvloop
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from voxmesh_runtime import logs, telemetry
from voxmesh_runtime.commands import CannotListen, one_line_errors
from voxmesh_runtime.interceptor import ErrorInterceptor
from voxmesh_runtime.proxies import spare_loopback
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import Streams

log = logging.getLogger(__name__)

CHANNELZ: str = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

GRACE_S = 1.0
"""Time in which streams that were ended get their status, in seconds."""
FREE_TIMEOUT_S = 1.5
"""Longest wait for the model's thread at the end, in seconds."""
PARENT_POLL_S = 0.5
"""Time between two looks at the parent, in seconds."""


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
        """Load and warm up; the service is healthy after this, but for when its streams are told that it is not."""
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
            interceptors=[ErrorInterceptor(service.streams.check_loaded)],
            options=[
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", 10_000),
                ("grpc.keepalive_timeout_ms", 5_000),
                # What grpcio really waits for the answer to a ping; the option before is not heeded.
                ("grpc.http2.ping_timeout_ms", 5_000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.max_ping_strikes", 0),
            ],
        )
        self.port = 0
        self._is_loaded = False
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen at once, load the model, then turn SERVING.

        Raises:
            CannotListen: the port is taken or the address is not of this host.
        """
        names = [*self._service.names, health.SERVICE_NAME, reflection.SERVICE_NAME, CHANNELZ]
        self._service.register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        channelz.add_channelz_servicer(self._server)
        reflection.enable_server_reflection(names, self._server)
        await self._set_health(NOT_SERVING)
        self.port = self._listen()
        await self._server.start()
        log.info("listening", extra={"address": self._address(self.port)})
        await self._service.start()
        self._service.streams.loaded()
        await self._tell_health()
        self._following = asyncio.create_task(self._follow_health())
        self._is_loaded = True
        log.info("serving", extra={"address": self._address(self.port)})

    async def drain(self) -> None:
        """NOT_SERVING first, then move the streams elsewhere, then end those left."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._settings.drain_delay_s)
        await self._service.streams.drain()

    async def stop(self) -> bool:
        """End what is left and free the model; False when a thread is still inside the model."""
        self._service.streams.end()
        if self._following is not None:
            self._following.cancel()
        await self._server.stop(GRACE_S if self._is_loaded else None)
        try:
            async with asyncio.timeout(FREE_TIMEOUT_S):
                await self._service.stop()
        except TimeoutError:
            log.warning("the model is still busy and is left behind")
            return False
        return self._is_loaded

    def _listen(self) -> int:
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            # Tried before grpc does, which writes its own lines to standard error.
            socket.create_server((host, port), family=family).close()
            return self._server.add_insecure_port(self._address(port))
        except (OSError, RuntimeError):
            raise CannotListen(
                f"cannot listen on {self._address(port)}: choose a free port with --port and an address "
                "of this host with --host"
            ) from None

    def _address(self, port: int) -> str:
        host = self._settings.host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def _follow_health(self) -> None:
        """Tell health anew whenever the service loses or finds what it needs."""
        changed = self._service.streams.health_changed
        while await changed.wait():
            await self._tell_health()

    async def _tell_health(self) -> None:
        streams = self._service.streams
        streams.health_changed.clear()
        await self._set_health(SERVING if streams.is_able else NOT_SERVING)

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


class _StopRequest:
    """What ends a service: a signal, or the loss of its parent."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()
        """A second signal, or a parent that is gone: nobody waits for a drain."""

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    async def watch_parent(self, parent_pid: int | None) -> None:
        """Wait until the parent is another process; for ever when none is given."""
        if parent_pid is None:
            return
        while os.getppid() == parent_pid:  # noqa: ASYNC110 # a parent's death is no event
            await asyncio.sleep(PARENT_POLL_S)
        log.warning("parent is gone")
        self.hurried.set()
        self.asked.set()

    def _signalled(self) -> None:
        (self.hurried if self.asked.is_set() else self.asked).set()


async def _serve(service: Service, settings: ServerSettings, flush: Callable[[], None]) -> None:
    server = RunningServer(service, settings)
    stop = _StopRequest()
    stop.listen()
    watch = asyncio.create_task(stop.watch_parent(settings.parent_pid))
    starting = asyncio.create_task(server.start())
    try:
        await _done_or(starting, stop.asked)
        if starting.done():
            await starting
            await stop.asked.wait()
            await _done_or(asyncio.create_task(server.drain()), stop.hurried)
    finally:
        starting.cancel()
        watch.cancel()
        await asyncio.gather(starting, watch, return_exceptions=True)
        is_free = await server.stop()
        log.info("stopped")
    if not is_free:
        # A thread inside a load or a model can be neither interrupted nor joined.
        _leave(flush)


async def _done_or(task: asyncio.Task[None], event: asyncio.Event) -> None:
    """Wait for the task or the event, whichever is first."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _leave(flush: Callable[[], None]) -> None:
    flush()
    logging.shutdown()
    os._exit(0)


def serve(service: Service, settings: ServerSettings, name: str) -> None:
    """Run a service until SIGTERM or SIGINT: drains, frees the model and returns.

    An error that the operator can mend ends the process with status 1 and one line of log.
    """
    spare_loopback(os.environ)
    logs.configure(settings.log_level)
    flush = telemetry.configure(name, settings.host_name, settings.otlp_endpoint)
    try:
        with one_line_errors():
            uvloop.run(_serve(service, settings, flush))
    finally:
        flush()
