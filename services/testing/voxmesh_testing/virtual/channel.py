"""A gRPC channel in memory: the generated stubs call through it, and messages travel as bytes and take their time.

It behaves as grpc.aio does where callers of ours rely on it: reading gives the answers that are there before the
status, a call that is cancelled cancels who reads it, and writing waits while the other end's window is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Protocol, Self

import grpc

WINDOW_BYTES = 65_536
"""Bytes that may be on their way in one direction of a call."""
MAX_MESSAGE_BYTES = 9 * 1024 * 1024
"""Longest message that a server takes, in bytes: a coordinator's, which takes the longest."""
CONNECT_S = 0.002
"""Time to make a connection, in seconds."""

Status = tuple[grpc.StatusCode, str, Iterable[tuple[str, str | bytes]]]
CANCELLED: Status = (grpc.StatusCode.CANCELLED, "Locally cancelled by application!", ())
Serve = Callable[[str, "Pipe", "Pipe"], Coroutine[Any, Any, Status]]
"""Serves one call of a method, with its requests and its responses; gives its status."""


def lost(why: str) -> Status:
    """The status of a call whose connection is gone."""
    return grpc.StatusCode.UNAVAILABLE, why, ()


class Link(Protocol):
    """A connection to one server, as calls see it."""

    delay_s: float
    """Time that a message is on its way, in seconds."""
    flow: asyncio.Event
    """Cleared while the connection is silent: nothing arrives at either end."""
    calls: set[Call]

    @property
    def serve(self) -> Serve:
        """Serves a call at the other end."""
        ...


class Dialer(Protocol):
    """Finds the connection for a call."""

    def connection(self) -> Link:
        """The connection for a call now.

        Raises:
            ConnectionError: there is none.
        """
        ...

    async def changed(self) -> None:
        """Wait until there may be one."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Pipe:
    """One direction of a call: messages arrive in order, each `delay_s` after it was put."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._items: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._ends_at: float | None = None
        self._changed = asyncio.Event()

    @property
    def is_ended(self) -> bool:
        """Nothing follows."""
        return self._ends_at is not None

    async def put(self, data: bytes) -> None:
        """Send a message; waits while the window is full.

        Raises:
            BrokenPipeError: the direction has ended.
        """
        while not self.is_ended and self._bytes >= WINDOW_BYTES:
            await self._wait()
        if self.is_ended:
            raise BrokenPipeError
        self._items.append((self._loop.time() + self._link.delay_s, data))
        self._bytes += len(data)
        self._changed.set()

    def end(self, *, drop: bool = False) -> None:
        """Nothing follows; `drop` loses what is on its way."""
        if self._ends_at is None:
            self._ends_at = self._loop.time() + (0 if drop else self._link.delay_s)
        while drop and self._items and self._items[-1][0] > self._loop.time():
            self._items.pop()
        self._changed.set()

    async def get(self) -> bytes | None:
        """The next message; None at the end."""
        while True:
            if not self.is_ended:
                await self._link.flow.wait()
            if self._items:
                due, data = self._items[0]
                if (wait_s := due - self._loop.time()) <= 0:
                    self._items.popleft()
                    self._bytes -= len(data)
                    self._changed.set()
                    return data
                await asyncio.sleep(wait_s)
            elif self._ends_at is not None:
                if (wait_s := self._ends_at - self._loop.time()) <= 0:
                    return None
                await asyncio.sleep(wait_s)
            else:
                await self._wait()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Call:
    """One call, from the caller's side; serves as stream and as unary call of grpc.aio."""

    def __init__(
        self, channel: FakeChannel, method: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
    ) -> None:
        self._channel = channel
        self._method, self._encode, self._decode = method, encode, decode
        self._status: Status | None = None
        self._over = asyncio.Event()
        self._callbacks: list[Callable[[Any], None]] = []
        self._link: Link | None = None
        self._requests: Pipe | None = None
        self._responses: Pipe | None = None
        self._connected = asyncio.Event()
        self._is_half_closed = False
        self._serving: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def start(self, timeout_s: float | None, *, waits: bool) -> None:
        """Begin the call."""
        loop = asyncio.get_running_loop()
        if timeout_s is not None:
            status = (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", ())
            self._deadline = loop.call_later(timeout_s, self.finish, status)
        self._serving = loop.create_task(self._run(waits=waits))

    async def _run(self, *, waits: bool) -> None:
        while True:
            try:
                link = self._link = self._channel.dialer.connection()
                break
            except ConnectionError as error:
                if not waits:
                    await asyncio.sleep(CONNECT_S)
                    self.finish(lost(str(error)))
                    return
                await self._channel.dialer.changed()
        link.calls.add(self)
        self._requests, self._responses = Pipe(link), Pipe(link)
        await asyncio.sleep(CONNECT_S + link.delay_s)
        await link.flow.wait()
        self._connected.set()
        try:
            status = await link.serve(self._method, self._requests, self._responses)
        except Exception as error:  # noqa: BLE001 # a fault of the harness is not to look like one that stands still
            status = (grpc.StatusCode.UNKNOWN, repr(error), ())
        self._responses.end()
        await asyncio.sleep(link.delay_s)
        await link.flow.wait()
        self.finish(status)

    def finish(self, status: Status, *, drop: bool = False) -> None:
        """The call is over with this status; `drop` loses the answers that are on their way."""
        if self._status is not None:
            return
        self._status = status
        if self._link is not None:
            self._link.calls.discard(self)
        for pipe in (self._requests, self._responses):
            if pipe is not None:
                pipe.end(drop=drop)
        if self._deadline is not None:
            self._deadline.cancel()
        serving = self._serving
        if serving is not None and serving is not asyncio.current_task():
            # The server notices after a moment; by then its requests have ended.
            asyncio.get_running_loop().call_later(0 if self._link is None else self._link.delay_s * 2, serving.cancel)
        self._connected.set()
        self._over.set()
        for callback in self._callbacks:
            callback(self)

    # As grpc.aio's calls.

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call it when the call is over."""
        if self._status is not None:
            callback(self)
        else:
            self._callbacks.append(callback)

    def done(self) -> bool:
        """The call is over."""
        return self._status is not None

    def cancel(self) -> bool:
        """End the call."""
        if self.done():
            return False
        self.finish(CANCELLED, drop=True)
        return True

    async def code(self) -> grpc.StatusCode:
        """Of the status, once the call is over."""
        return (await self._final())[0]

    async def details(self) -> str:
        """Of the status, once the call is over."""
        return (await self._final())[1]

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """Of the status, once the call is over."""
        return grpc.aio.Metadata(*(await self._final())[2])

    async def wait_for_connection(self) -> None:
        """Wait until the call has a connection."""
        await self._connected.wait()
        self._raise_failure()

    async def write(self, request: Any) -> None:
        """Send a message."""
        try:
            await self._connected.wait()
            if self._status is not None or self._is_half_closed or self._requests is None:
                raise asyncio.InvalidStateError("RPC already finished.")
            data = self._encode(request)
            if len(data) > MAX_MESSAGE_BYTES:
                told = f"SERVER: Received message larger than max ({len(data)} vs. {MAX_MESSAGE_BYTES})"
                self.finish((grpc.StatusCode.RESOURCE_EXHAUSTED, told, ()))
            await self._requests.put(data)
        except BrokenPipeError:
            raise asyncio.InvalidStateError("RPC already finished.") from None
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def done_writing(self) -> None:
        """Say that no message follows."""
        await self._connected.wait()
        self._is_half_closed = True
        if self._requests is not None:
            self._requests.end()

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            await self._connected.wait()
            while self._responses is not None and (data := await self._responses.get()) is not None:
                yield self._decode(data)
            await self._over.wait()
        except asyncio.CancelledError:
            self.cancel()
            raise
        self._raise_failure()

    async def answer(self, request: Any) -> Any:
        """The one answer of a unary call."""
        with suppress(asyncio.InvalidStateError):
            await self.write(request)
            await self.done_writing()
        answers = [answer async for answer in self]
        return answers[0]

    async def _final(self) -> Status:
        if self._status is None:
            await self._over.wait()
        assert self._status is not None
        return self._status

    def _raise_failure(self) -> None:
        code, details, trailing = self._status or (grpc.StatusCode.OK, "", ())
        if code is grpc.StatusCode.CANCELLED:
            raise asyncio.CancelledError
        if code is not grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details)


class FakeChannel:
    """What a stub needs of grpc.aio's channel."""

    def __init__(self, dialer: Dialer) -> None:
        self.dialer = dialer
        self._calls: set[Call] = set()

    def stream_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **_: Any
    ) -> Any:
        """A method of streams both ways."""

        def call(*, timeout: float | None = None, wait_for_ready: bool | None = None) -> Call:
            return self._call(method, request_serializer, response_deserializer, timeout, waits=bool(wait_for_ready))

        return call

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **_: Any
    ) -> Any:
        """A method of one request and one answer."""

        def call(
            request: Any, *, timeout: float | None = None, wait_for_ready: bool | None = None
        ) -> Coroutine[Any, Any, Any]:
            made = self._call(method, request_serializer, response_deserializer, timeout, waits=bool(wait_for_ready))
            return made.answer(request)

        return call

    def unary_stream(self, *_: Any, **__: Any) -> Any:
        """No service here has such a method; generated stubs of health ask for one."""
        return None

    async def close(self, grace: float | None = None) -> None:
        """Cancel all calls."""
        del grace
        for call in list(self._calls):
            call.cancel()
        self.dialer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _call(self, method: str, encode: Any, decode: Any, timeout_s: float | None, *, waits: bool) -> Call:
        call = Call(self, method, encode, decode)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        call.start(timeout_s, waits=waits)
        return call
