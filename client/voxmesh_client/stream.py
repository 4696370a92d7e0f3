"""One bidirectional call: awaited writes, typed reads, and failures as MeshError."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from voxmesh.common.v1 import common_pb2
from voxmesh_client.errors import MeshError, from_rpc
from voxmesh_runtime.duplex import CallOver, DuplexCall

_POLL_S = 0.01

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class Stream(Generic[Request, Response]):
    """A stream whose config was accepted.

    Iterating gives each answer after the first as (kind, response): kind is the name of the
    field that is set. `going_away` is kept in an attribute of that name instead.
    """

    def __init__(self, call: DuplexCall[Request, Response], service: str, target: str) -> None:
        self._call = call
        self._service = service
        self._target = target
        self.going_away = False
        """True once the service asks to move the stream elsewhere."""
        self.first: Response | None = None
        """The first answer: it holds `ready` or `session_started`."""
        self._sender: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[Response | None] | None = None
        self._is_reading = self._is_over = False

    @property
    def ready(self) -> common_pb2.Ready:
        """What the service made of the config; empty where its first answer is of another kind."""
        ready: common_pb2.Ready | None = getattr(self.first, "ready", None)
        return common_pb2.Ready() if ready is None else ready

    async def start(self, first: Request) -> None:
        """Send the first message and wait for the first answer."""
        await self.send(first)
        self.first = await self._read()
        if self.first is None:
            raise self._ended()

    async def send(self, request: Request) -> None:
        """Send one message; waits while the service's window is full.

        Raises:
            MeshError: the stream is over.
        """
        try:
            await self._call.write(request)
        except CallOver as over:
            raise self._failure(over) from None

    async def half_close(self) -> None:
        """Say that no message follows."""
        await self._call.half_close()

    def cancel(self) -> None:
        """End the stream now; nothing happens when it is over."""
        for task in (self._sender, self._reading):
            if task is not None:
                task.cancel()
        self._call.cancel()

    async def __aiter__(self) -> AsyncIterator[tuple[str, Response]]:
        while (response := await self._read()) is not None:
            kind = kind_of(response)
            if kind == "going_away":
                self.going_away = True
            yield kind, response

    async def exchange(self, requests: AsyncIterable[Request]) -> AsyncGenerator[tuple[str, Response]]:
        """Send `requests` and half-close, and meanwhile give the answers until the stream ends.

        Raises:
            MeshError: the stream failed. What `requests` raises is raised too.
        """
        sender = self._sender = asyncio.create_task(self._send_all(requests))
        try:
            async for item in self:
                yield item
        except asyncio.CancelledError:
            _raise_failure(sender)
            raise
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError, MeshError):
                await sender

    async def _send_all(self, requests: AsyncIterable[Request]) -> None:
        try:
            async for request in requests:
                await self.send(request)
            await self.half_close()
        except MeshError:
            raise  # the reader meets the same end of the stream, with what came before it
        except BaseException:
            self._call.cancel()  # what wakes the reader
            raise

    async def drained(self) -> None:
        """Read what still comes and drop it, until the service has ended the stream."""
        while not self._is_over:
            if self._is_reading:
                # Somebody reads already; they will see the end.
                await asyncio.sleep(_POLL_S)
            else:
                with suppress(MeshError):
                    await self._read()

    async def _read(self) -> Response | None:
        # Shielded: grpc.aio ends a call whose reader is cancelled, but a reader may just have seen enough.
        reading = self._reading = self._reading or asyncio.ensure_future(self._call.read())
        self._is_reading = True
        try:
            response = await asyncio.shield(reading)
        except CallOver as over:
            self._is_over = True
            raise self._failure(over) from None
        finally:
            self._is_reading = False
            if reading.done():
                self._reading = None
        self._is_over = response is None
        return response

    def _failure(self, over: CallOver) -> MeshError:
        return self._ended() if over.status is None else from_rpc(over.status, self._service, self._target)

    def _ended(self) -> MeshError:
        return MeshError(grpc.StatusCode.CANCELLED, "the stream has ended", self._service, "open another one")


def kind_of(response: Message) -> str:
    """Name of the field of the message's only oneof that is set."""
    oneof: Any = response.DESCRIPTOR.oneofs[0].name
    return response.WhichOneof(oneof) or ""


def _raise_failure(sender: asyncio.Task[None]) -> None:
    if sender.done() and not sender.cancelled() and (error := sender.exception()) is not None:
        raise error
