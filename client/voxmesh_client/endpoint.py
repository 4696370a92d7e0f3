"""One service at one target: opens its streams with retry and turns its failures into MeshError."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_before_delay,
    wait_random_exponential,
)

from voxmesh.common.v1 import common_pb2
from voxmesh_client.errors import MeshError, NotRunning, from_rpc, no_answer, not_serving, nothing_answers
from voxmesh_client.health import Health, check_health
from voxmesh_client.patience import is_refused, refusal_is_final
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import Slot
from voxmesh_client.stream import Stream
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.duplex import CallOver, DuplexCall

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Result = TypeVar("Result")
OnReady = Callable[[common_pb2.Ready], None]
"""Gets what a service made of the config of its stream."""

_PROMPT_S = 0.2
"""What takes longer to connect may not be there at all."""
_BACK_OFF = wait_random_exponential(multiplier=0.2, max=1.0)


class StreamMethod(Protocol[Request, Response]):
    """A stub's bidirectional method."""

    def __call__(
        self, *, timeout: float | None = None, wait_for_ready: bool | None = None
    ) -> grpc.aio.StreamStreamCall[Request, Response]:
        """Open a stream."""
        ...


class UnaryMethod(Protocol[Request, Response]):
    """A stub's unary method."""

    def __call__(
        self, request: Request, /, *, timeout: float | None = None, wait_for_ready: bool | None = None
    ) -> grpc.aio.UnaryUnaryCall[Request, Response]:
        """Call it."""
        ...


class Connect(Protocol):
    """Makes a channel to a target, apart from all others if asked."""

    def __call__(self, target: str, *, is_apart: bool = False) -> grpc.aio.Channel:
        """Make it."""
        ...


class Endpoint:
    """A channel to one service; made inside a running event loop and closed by `close`."""

    def __init__(self, slot: Slot, settings: MeshSettings, connect: Connect = open_channel) -> None:
        self.slot = slot
        self.target = settings.target(slot)
        self._connect = connect
        self.channel = connect(self.target)
        self._left: list[grpc.aio.Channel] = []
        self._settings = settings

    async def close(self) -> None:
        """Close the channel; open calls are cancelled."""
        await asyncio.gather(*(channel.close() for channel in (*self._left, self.channel)))

    def leave(self, channel: grpc.aio.Channel) -> None:
        """Connect anew: behind an address for many servers, `channel` would hold on to one that is going away."""
        if channel is self.channel:
            self._left.append(channel)
            self.channel = self._connect(self.target, is_apart=True)

    async def call(self, method: UnaryMethod[Request, Response], request: Request) -> Response:
        """The answer of a unary method.

        Raises:
            MeshError: nothing answers, it refuses, or it takes longer than `connect_timeout_s`.
        """
        timeout_s = self._settings.connect_timeout_s
        try:
            call = method(request, timeout=timeout_s, wait_for_ready=True)
            return await self._unless_refused(_answer(call), None)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise await self._silent(timeout_s) from None
            raise from_rpc(error, self.slot.name, self.target) from None

    @asynccontextmanager
    async def stream(
        self,
        method: StreamMethod[Request, Response],
        first: Request,
        timeout_s: float | None = None,
        on_ready: OnReady | None = None,
    ) -> AsyncGenerator[Stream[Request, Response]]:
        """A stream for the time of a block; it is cancelled at the end if still open. See `open`."""
        stream = await self.open(method, first, timeout_s)
        try:
            if on_ready is not None:
                on_ready(stream.ready)
            yield stream
        finally:
            stream.cancel()

    async def open(
        self,
        method: StreamMethod[Request, Response],
        first: Request,
        timeout_s: float | None = None,
        patience_s: float | None = None,
    ) -> Stream[Request, Response]:
        """Send `first` and wait for the first answer; a full or absent service is tried again for a while.

        One that refuses connections on this machine is not waited for, unless a patience is named.

        Args:
            method: the stub's method.
            first: the config.
            timeout_s: deadline of the whole stream; None takes `stream_timeout_s`.
            patience_s: how long to try again; None takes `connect_timeout_s`.

        Raises:
            MeshError: no first answer could be had, or the service refuses.
        """
        attempts = AsyncRetrying(
            retry=retry_if_exception(_may_retry),
            stop=stop_before_delay(patience_s or self._settings.connect_timeout_s),
            wait=_wait_s,
            reraise=True,
        )
        return await attempts(self._open_once, method, first, timeout_s or self._settings.stream_timeout_s, patience_s)

    async def _open_once(
        self,
        method: StreamMethod[Request, Response],
        first: Request,
        timeout_s: float,
        patience_s: float | None,
    ) -> Stream[Request, Response]:
        call = DuplexCall(method(timeout=timeout_s, wait_for_ready=True))
        stream = Stream(call, self.slot.name, self.target)
        try:
            await self._connected(call, patience_s)
            await self._first_answer(stream, first)
        except BaseException:  # cancellation too must not leave a call behind
            stream.cancel()
            raise
        return stream

    async def _connected(self, call: DuplexCall[Request, Response], patience_s: float | None) -> None:
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._unless_refused(call.wait_for_connection(), patience_s)
        except TimeoutError:
            raise await self._silent(self._settings.connect_timeout_s) from None
        except CallOver as over:
            if over.status is not None:
                raise from_rpc(over.status, self.slot.name, self.target) from None

    async def _first_answer(self, stream: Stream[Request, Response], first: Request) -> None:
        timeout_s = self._settings.answer_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await stream.start(first)
        except TimeoutError:
            raise no_answer(self.slot.name, self.target, timeout_s) from None

    async def _unless_refused(self, work: Coroutine[Any, Any, Result], patience_s: float | None) -> Result:
        """The result of what waits for a connection, unless none can come.

        Raises:
            NotRunning: the service is to be on this machine, and is not.
        """
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=_PROMPT_S)
            if not done and refusal_is_final(self.target, patience_s) and await is_refused(self.target):
                raise NotRunning(self.slot.name, self.target)
            return await task
        finally:
            task.cancel()

    async def _silent(self, timeout_s: float) -> MeshError:
        """Why no call reached the service."""
        match await check_health(self.target):
            case Health.DOWN:
                return nothing_answers(self.slot.name, self.target)
            case Health.NOT_SERVING:
                return not_serving(self.slot.name, self.target)
            case Health.SERVING:
                return no_answer(self.slot.name, self.target, timeout_s)


async def _answer(call: grpc.aio.UnaryUnaryCall[Any, Response]) -> Response:
    return await call


def _may_retry(error: BaseException) -> bool:
    return isinstance(error, MeshError) and error.may_retry


def _wait_s(state: RetryCallState) -> float:
    """What the service asked for, else exponential with jitter."""
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, MeshError) and error.retry_after_s is not None:
        return error.retry_after_s
    return _BACK_OFF(state)
