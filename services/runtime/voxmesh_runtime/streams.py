"""Bidirectional streams of one server: admission, order of messages, back-pressure and drain.

A servicer's stream method reads like this::

    async with self._streams.open(request_iterator, context, Response) as call:
        config = (await call.config()).config
        await call.send(Response(ready=...))
        async for kind, request in call:
            match kind: ...
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.clock import timestamp
from voxmesh_runtime.errors import InvalidArgument, Overloaded, TimedOut, Unavailable
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.telemetry import stream_metrics

log = logging.getLogger(__name__)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Response_contra = TypeVar("Response_contra", bound=Message, contravariant=True)

AnyContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
"""The context of a servicer's method."""


class WriteContext(Protocol[Response_contra]):
    """The part of grpc.aio's servicer context that a stream needs."""

    async def write(self, message: Response_contra, /) -> None:
        """Send one message; waits while the client's window is full."""
        ...


class StreamCall(Generic[Request, Response]):
    """One caller's stream: the config first, then messages in order, each with its oneof's name."""

    def __init__(
        self,
        requests: AsyncIterator[Request],
        context: WriteContext[Response],
        response_type: type[Response],
        settings: ServerSettings,
    ) -> None:
        self._requests = aiter(requests)
        self._context = context
        self._response_type = response_type
        self._settings = settings
        self._writing = asyncio.Lock()
        self._task = asyncio.current_task()
        self.expired = False
        self.is_moving = False
        """The client was asked to move, and may do so at any moment."""

    async def config(self) -> Request:
        """The first message, which must hold the config.

        Raises:
            InvalidArgument: it is missing or another message came first.
            TimedOut: nothing came in time.
        """
        return (await self.first("config"))[1]

    async def first(self, *kinds: str) -> tuple[str, Request]:
        """The first message and its kind, which must be one of `kinds`."""
        expected = " or ".join(kinds)
        try:
            async with asyncio.timeout(self._settings.config_timeout_s):
                request = await anext(self._requests)
        except StopAsyncIteration:
            raise InvalidArgument(expected, "the stream ended before its first message") from None
        except TimeoutError:
            raise TimedOut(
                f"no {expected} within {self._settings.config_timeout_s:g} s; send it as the first message"
            ) from None
        kind = self._kind(request)
        if kind not in kinds:
            raise InvalidArgument(kind, f"the first message must be {expected}")
        return kind, request

    def __aiter__(self) -> AsyncIterator[tuple[str, Request]]:
        return self._rest()

    async def _rest(self) -> AsyncIterator[tuple[str, Request]]:
        async for request in self._requests:
            kind = self._kind(request)
            if kind in {"config", "resume"}:
                raise InvalidArgument(kind, "may only be the first message; open another stream for other options")
            yield kind, request

    def _kind(self, request: Request) -> str:
        oneof = request.DESCRIPTOR.oneofs[0].name
        kind = request.WhichOneof(oneof)
        if kind is None:
            raise InvalidArgument(oneof, "the message is empty or of an unknown kind; set one of its fields")
        return kind

    async def send(self, response: Response) -> None:
        """Send one message; waits while the client's window is full, so memory stays bounded.

        Raises:
            TimedOut: the client has not read for `write_timeout_s`.
        """
        async with self._writing:
            try:
                async with asyncio.timeout(self._settings.write_timeout_s):
                    await self._context.write(response)
            except TimeoutError:
                raise TimedOut(
                    f"the client read nothing for {self._settings.write_timeout_s:g} s; read responses while sending"
                ) from None

    async def send_going_away(self, deadline_ns: int) -> None:
        """Ask the client to move before `deadline_ns`, nanoseconds since the epoch."""
        self.is_moving = True
        going_away = common_pb2.GoingAway(deadline=timestamp(deadline_ns))
        fields: dict[str, Any] = {"going_away": going_away}
        await self.send(self._response_type(**fields))

    def expire(self) -> None:
        """End the stream with UNAVAILABLE now."""
        if self._task is not None and not self.expired:
            self._task.cancel()
        self.expired = True


class Streams:
    """All streams of one server.

    Raises from `open`:
        Unavailable: the model still loads, is lost for a while, or the server drains.
        Overloaded: `max_streams` are open.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._active: set[StreamCall[Any, Any]] = set()
        self.health_changed = asyncio.Event()
        """Set when `is_able` may have changed; the server that tells health clears it."""
        self._loading = True
        self._lost = ""
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._metrics = stream_metrics(lambda: len(self._active))

    @property
    def active_count(self) -> int:
        """Streams that are open now."""
        return len(self._active)

    @property
    def is_able(self) -> bool:
        """The model is there."""
        return not self._loading and not self._lost

    def loaded(self) -> None:
        """The model can serve: streams are accepted from now on."""
        self._loading = False

    def lost(self, problem: str) -> None:
        """The model, or what it runs on, is gone for a while: new streams are refused until `found`, with `problem`."""
        self._lost = problem
        self.health_changed.set()

    def found(self) -> None:
        """What was lost is back."""
        self._lost = ""
        self.health_changed.set()

    def check_loaded(self) -> None:
        """Refuse whatever needs the model before it is there.

        Raises:
            Unavailable: the model still loads.
        """
        if self._loading:
            raise Unavailable("the model is still loading; health turns SERVING when it is ready")

    @asynccontextmanager
    async def open(
        self,
        requests: AsyncIterator[Request],
        context: WriteContext[Response],
        response_type: type[Response],
    ) -> AsyncGenerator[StreamCall[Request, Response]]:
        """Admit a stream for the time of the `async with` block."""
        self._admit()
        call = StreamCall(requests, context, response_type, self.settings)
        self._active.add(call)
        self._idle.clear()
        try:
            yield call
        except asyncio.CancelledError:
            if not call.expired:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            raise Unavailable("the server stopped; open the stream again on another one") from None
        finally:
            self._active.discard(call)
            if not self._active:
                self._idle.set()

    def _admit(self) -> None:
        self.check_loaded()
        if self._lost:
            raise Unavailable(self._lost)
        if self._draining:
            raise Unavailable("the server is stopping; use another one")
        if len(self._active) >= self.settings.max_streams:
            self._metrics.refused.add(1)
            raise Overloaded(f"all {self.settings.max_streams} streams of this server are in use; try again later")
        self._metrics.accepted.add(1)

    async def drain(self) -> None:
        """Refuse new streams, ask those open to move, and end them when time is up."""
        self._draining = True
        deadline_ns = time.time_ns() + round(self.settings.drain_s * 1e9)
        calls = list(self._active)
        log.info("draining", extra={"streams": len(calls), "drain_s": self.settings.drain_s})
        announced = asyncio.gather(*(call.send_going_away(deadline_ns) for call in calls), return_exceptions=True)
        try:
            async with asyncio.timeout(self.settings.drain_s):
                await announced
                await self._idle.wait()
        except TimeoutError:
            log.warning("streams did not end in time", extra={"streams": len(self._active)})
        self.end()

    def end(self) -> None:
        """Refuse new streams and end those open with UNAVAILABLE now."""
        self._draining = True
        for call in list(self._active):
            call.expire()
