"""A long-lived stream to one service: opened with its config, opened again after it broke."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import grpc
from google.protobuf.message import Message
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from voxmesh.common.v1 import common_pb2
from voxmesh_coordinator.failures import ServiceFailed
from voxmesh_runtime.duplex import CallOver, DuplexCall

log = logging.getLogger(__name__)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

Method = Callable[[], "grpc.aio.StreamStreamCall[Request, Response]"]


class Link(Generic[Request, Response]):
    """One session's stream to one service.

    Args:
        service: slot and target, for errors.
        method: opens the stub's stream.
        config: first message.
        on_response: gets every answer after `ready`, in order; awaiting it holds the service back.
        on_failure: called when the stream breaks by itself.
        connect_timeout_s: longest wait for `ready`.

    `epoch` counts the times it was opened: numbers and offsets that the service gives begin anew with each.
    """

    def __init__(
        self,
        service: str,
        method: Method[Request, Response],
        config: Request,
        *,
        on_response: Callable[[Response], Awaitable[None]],
        on_failure: Callable[[ServiceFailed], None],
        connect_timeout_s: float,
    ) -> None:
        self.service = service
        self.ready = common_pb2.Ready()
        self.is_going_away = False
        self.epoch = 0
        self._method = method
        self._config = config
        self._on_response = on_response
        self._on_failure = on_failure
        self._connect_timeout_s = connect_timeout_s
        self._call: DuplexCall[Request, Response] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """True while the stream works."""
        return self._call is not None

    async def open(self) -> None:
        """Open the stream if it is not; transient failures are retried until time is up.

        Raises:
            ServiceFailed: the service refused the config or cannot be reached.
        """
        async with self._opening:
            if self._call is not None:
                return
            attempts = AsyncRetrying(
                retry=retry_if_exception(_is_transient),
                stop=stop_after_delay(self._connect_timeout_s),
                wait=wait_exponential_jitter(multiplier=0.05, max=0.5, jitter=0.05),
                reraise=True,
            )
            call = await attempts(self._connect)
            self._call = call
            self.is_going_away = False
            self.epoch += 1
            self._pump = asyncio.create_task(self._read(call))

    async def send(self, request: Request) -> None:
        """Send one message, opening the stream first if it broke.

        Raises:
            ServiceFailed: the stream cannot be opened or broke just now.
        """
        await self.open()
        call = self._call
        if call is None:
            raise ServiceFailed(self.service, grpc.StatusCode.UNAVAILABLE, "the stream broke")
        try:
            await call.write(request)
        except CallOver as over:
            self._forget(call)
            raise ServiceFailed.from_over(self.service, over) from None

    async def move(self) -> None:
        """Open the stream anew, on another server if there is one; for the time between turns."""
        await self.close()
        await self.open()

    async def close(self) -> None:
        """End the stream; nothing is answered any more."""
        pump = self._pump
        self.cancel()
        if pump is not None and pump is not asyncio.current_task():
            await asyncio.wait({pump})

    def cancel(self) -> None:
        """End the stream without waiting: to be used where a cancellation may come at any moment."""
        call, pump = self._call, self._pump
        self._call = self._pump = None
        if call is not None:
            call.cancel()
        if pump is not None and pump is not asyncio.current_task():
            pump.cancel()

    async def _connect(self) -> DuplexCall[Request, Response]:
        call = DuplexCall(self._method())
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await call.write(self._config)
                first = await call.read()
        except TimeoutError:
            call.cancel()
            raise ServiceFailed(
                self.service, grpc.StatusCode.UNAVAILABLE, f"no answer within {self._connect_timeout_s:g} s"
            ) from None
        except CallOver as over:
            raise ServiceFailed.from_over(self.service, over) from None
        except BaseException:
            call.cancel()
            raise
        if first is None:
            raise ServiceFailed.from_over(self.service, CallOver(None))
        self.ready = first.ready  # pyright: ignore[reportAttributeAccessIssue] # every slot's first answer has it
        return call

    async def _read(self, call: DuplexCall[Request, Response]) -> None:
        try:
            while (response := await call.read()) is not None:
                if response.HasField("going_away"):
                    self.is_going_away = True
                else:
                    await self._on_response(response)
            failure = ServiceFailed.from_over(self.service, CallOver(None))
        except CallOver as over:
            failure = ServiceFailed.from_over(self.service, over)
        except Exception:
            # A bug of ours: the session must not wait for answers that nobody reads.
            log.exception("reading a service's answers failed", extra={"service": self.service})
            failure = ServiceFailed(self.service, grpc.StatusCode.INTERNAL, "internal error")
            call.cancel()
        if self._call is call:
            self._forget(call)
            self._on_failure(failure)

    def _forget(self, call: DuplexCall[Request, Response]) -> None:
        if self._call is call:
            self._call = None


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ServiceFailed) and error.code == grpc.StatusCode.UNAVAILABLE
