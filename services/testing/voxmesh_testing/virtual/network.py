"""Servers and the links to them, all in one process: served as by a real server, and broken as real ones break.

channel ── address ──► Connection ──► Server ──► servicer, under the real interceptor

A server may die without a word (`kill`), be cut off (`cut`), fall silent (`fall_silent`) or be too busy to answer
health (`is_serving`); an address may come to lead to another server (`lead`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from voxmesh_runtime.interceptor import ErrorInterceptor
from voxmesh_testing.virtual.channel import Call, Dialer, FakeChannel, Pipe, Serve, Status, lost

DELAY_S = 0.0005
"""Time of a message on its way where nobody sets another, in seconds."""
KEEPALIVE_S = 4.5
"""Silence after which both ends give a connection up, as `voxmesh_runtime.channels` sets it, in seconds."""
HEALTH = "/grpc.health.v1.Health/Check"

Register = Callable[[Any], None]
"""Adds a servicer to a server, as the generated functions do."""


class Server(health_pb2_grpc.HealthServicer):
    """A server at one name, with its servicers; stands in for grpc.aio.Server where servicers are added."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_serving = True
        """What it answers about its health, and whether channels lead calls to it."""
        self._methods: dict[str, Any] = {}
        self._interceptor = ErrorInterceptor(lambda: None)
        self._tasks: set[asyncio.Task[Any]] = set()
        health_pb2_grpc.add_HealthServicer_to_server(self, self)

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """As grpc's; `add_registered_method_handlers` gets the same."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """As grpc's."""
        self._methods |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    async def Check(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the name of the method in gRPC
        self, request: health_pb2.HealthCheckRequest, context: object
    ) -> health_pb2.HealthCheckResponse:
        """Whether it serves."""
        del request, context
        status = (
            health_pb2.HealthCheckResponse.SERVING if self.is_serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        return health_pb2.HealthCheckResponse(status=status)

    async def serve(self, method: str, requests: Pipe, responses: Pipe) -> Status:
        """Serve one call; gives its status."""

        async def found(details: Any) -> Any:
            return self._methods.get(details.method)

        details: Any = _Details(method)
        handler: Any = await self._interceptor.intercept_service(found, details)
        if handler is None:
            return grpc.StatusCode.UNIMPLEMENTED, f"no method {method}", ()
        context = _Context(responses, handler.response_serializer)
        try:
            if handler.stream_stream is not None:
                await handler.stream_stream(_decoded(requests, handler.request_deserializer), context)
            else:
                data = await requests.get() or b""
                decode = handler.request_deserializer
                await context.write(await handler.unary_unary(decode(data) if decode else data, context))
        except _Aborted as aborted:
            return aborted.status
        finally:
            context.is_over = True
        return grpc.StatusCode.OK, "", ()


class _Details:
    def __init__(self, method: str) -> None:
        self.method = method


class _Aborted(BaseException):
    """Ends a handler with a status; no handler is to take it for an error of its own."""

    def __init__(self, status: Status) -> None:
        super().__init__(status[1])
        self.status = status


class _Context:
    """What servicers and the interceptor need of grpc.aio's context."""

    def __init__(self, responses: Pipe, encode: Callable[[Any], bytes]) -> None:
        self.is_over = False
        self._responses = responses
        self._encode = encode

    async def write(self, message: Any) -> None:
        """Send one message."""
        try:
            await self._responses.put(self._encode(message))
        except BrokenPipeError:
            raise grpc.aio.UsageError("RPC already finished.") from None

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        """End the call."""
        raise _Aborted((code, details, ()))

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with a status and its details."""
        raise _Aborted((status.code, status.details, status.trailing_metadata or ()))

    def cancelled(self) -> bool:
        """The call is over."""
        return self._responses.is_ended

    def done(self) -> bool:
        """The call is over."""
        return self.is_over


async def _decoded(requests: Pipe, decode: Callable[[bytes], Any]) -> AsyncIterator[Any]:
    while (data := await requests.get()) is not None:
        yield decode(data)


class Connection:
    """One connection from one channel to one server."""

    def __init__(self, owner: str, address: str, server: Server, delay_s: float) -> None:
        self.owner, self.address, self.server, self.delay_s = owner, address, server, delay_s
        self.calls: set[Call] = set()
        self.flow = asyncio.Event()
        self.flow.set()
        self.is_up = True

    @property
    def serve(self) -> Serve:
        """Serves a call at the server."""
        return self.server.serve

    def lose(self, why: str) -> None:
        """Both ends lose it: calls end, and what is on its way is lost."""
        self.is_up = False
        for call in list(self.calls):
            call.finish(lost(why), drop=True)
        self.flow.set()

    def fall_silent(self) -> None:
        """Nothing arrives any more; the ends find out after a while."""
        self.flow.clear()
        asyncio.get_running_loop().call_later(KEEPALIVE_S, self.lose, "ping timeout")


class Network:
    """All servers by name, and which address leads to which; an address is a server's name unless it is led elsewhere.

    A target of several addresses is written "one,two": calls go to the first that serves.
    """

    def __init__(self) -> None:
        self.delay_s = DELAY_S
        self._servers: dict[str, Server] = {}
        self._routes: dict[str, str] = {}
        self._connections: set[Connection] = set()
        self._dead: set[str] = set()
        self._changed = asyncio.Event()

    def serve(self, name: str, *registers: Register) -> Server:
        """Start a server."""
        server = Server(name)
        for register in registers:
            register(server)
        self._servers[name] = server
        self.tell()
        return server

    def tell(self) -> None:
        """Those who wait for a connection look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def lead(self, address: str, name: str) -> None:
        """New connections to an address lead to this server from now on."""
        self._routes[address] = name
        self.tell()

    def kill(self, name: str) -> Server:
        """A server dies without a word, and so do its own connections; gives it, so that it can be started again."""
        server = self._servers.pop(name)
        self._dead.add(name)
        self.cut(name)
        return server

    def restart(self, server: Server) -> None:
        """A server that died is there again."""
        self._servers[server.name] = server
        self._dead.discard(server.name)
        self.tell()

    def cut(self, name: str) -> None:
        """Both ends of all connections to a server, or to an address, lose each other at once."""
        for connection in self._of(name):
            connection.lose("Connection reset by peer")

    def fall_silent(self, name: str) -> None:
        """What a router does that forgot its connections: neither end gets anything more, and new ones work."""
        for connection in self._of(name):
            connection.fall_silent()

    def channel(self, target: str, *, owner: str = "", is_apart: bool = False) -> Any:
        """A channel of a process of this name; stands in for `voxmesh_runtime.channels.open_channel`."""
        del is_apart
        return FakeChannel(_Dialer(self, owner, target.split(",")))

    def connect(self, owner: str, address: str) -> Connection:
        """A new connection.

        Raises:
            ConnectionError: nobody is there, or `owner` died.
        """
        server = self._servers.get(self._routes.get(address, address))
        if server is None or owner in self._dead:
            raise ConnectionError("failed to connect to all addresses; last error: Connection refused")
        connection = Connection(owner, address, server, self.delay_s)
        self._connections.add(connection)
        return connection

    def forget(self, connection: Connection) -> None:
        """A connection was closed."""
        self._connections.discard(connection)

    async def changed(self) -> None:
        """Wait until something may be reached that was not."""
        await self._changed.wait()

    def _of(self, name: str) -> list[Connection]:
        return [
            each for each in self._connections if each.is_up and name in {each.owner, each.address, each.server.name}
        ]


class _Dialer(Dialer):
    """The connections of one channel, one for each address, kept while they stand."""

    def __init__(self, network: Network, owner: str, addresses: list[str]) -> None:
        self._network, self._owner = network, owner
        self._addresses = addresses
        self._standing: dict[str, Connection] = {}

    def connection(self) -> Connection:
        """To the first address whose server serves."""
        error = ConnectionError("no server is healthy")
        for address in self._addresses:
            try:
                connection = self._to(address)
            except ConnectionError as refused:
                error = refused
                continue
            if connection.server.is_serving:
                return connection
        raise error

    async def changed(self) -> None:
        """See `Dialer`."""
        await self._network.changed()

    def close(self) -> None:
        """See `Dialer`."""
        for connection in self._standing.values():
            self._network.forget(connection)
        self._standing.clear()

    def _to(self, address: str) -> Connection:
        standing = self._standing.get(address)
        if standing is not None and standing.is_up:
            return standing
        if standing is not None:
            self._network.forget(standing)
        connection = self._standing[address] = self._network.connect(self._owner, address)
        return connection
