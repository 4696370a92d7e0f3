"""A long-lived stream to one service: opened with its config, opened again, maybe elsewhere, after it broke."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
from google.protobuf.message import Message
from tenacity import AsyncRetrying, retry_if_exception, wait_exponential_jitter

from voxmesh.common.v1 import common_pb2
from voxmesh_routing.backends import Backend, Slot
from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock
from voxmesh_runtime.duplex import CallOver, DuplexCall

log = logging.getLogger(__name__)

TRY_GAP_S = 0.5
"""Least time between two tries to reach a slot that could not be reached, in seconds."""
TRY_S = 1.0
"""Longest such try, in seconds."""

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a stream is tried to be opened, in seconds."""

    connect_s: float
    """Longest wait for a service to accept a stream."""
    reopen_s: float
    """The same for a service whose stream broke in mid-session."""


Method = Callable[[grpc.aio.Channel], "grpc.aio.StreamStreamCall[Request, Response]"]


class FailoverStream(Generic[Request, Response]):
    """One session's stream to one service, on the first of the slot's backends that takes it.

    Args:
        slot: the backends.
        method: opens the stream on a backend's channel.
        config: first message.
        on_response: gets every answer after `ready`, in order; awaiting it holds the service back.
        on_failure: called when the stream breaks by itself.
        timeouts: of opening it.
        languages: that are spoken, as in `Slot.candidates`.
        clock: of the process.

    `epoch` counts the times it was opened: numbers and offsets that the service gives begin anew with each.
    """

    def __init__(
        self,
        slot: Slot,
        method: Method[Request, Response],
        config: Request,
        *,
        on_response: Callable[[Response], Awaitable[None]],
        on_failure: Callable[[ServiceFailed], None],
        timeouts: Timeouts,
        languages: Sequence[str] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._clock = clock
        self.slot = slot.name
        self.ready = common_pb2.Ready()
        self.is_going_away = False
        self.epoch = 0
        self.failure: ServiceFailed | None = None
        """Why it could not be opened the last time; None when it could."""
        self.on_opening: Callable[[ServiceFailed | None], None] = lambda _: None
        """Called with `failure` when it was opened, or could not be."""
        self._failed_at = 0.0
        self.languages = languages
        self._slot = slot
        self._method = method
        self._config = config
        self._on_response = on_response
        self._on_failure = on_failure
        self._timeouts = timeouts
        self.backend = slot.candidates(languages)[0]
        self._call: DuplexCall[Request, Response] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """True while the stream works."""
        return self._call is not None

    @property
    def should_move(self) -> bool:
        """Its server is going away, or a better backend is well again."""
        return self.is_going_away or (self.is_open and self._slot.candidates(self.languages)[0] is not self.backend)

    @property
    def patience_s(self) -> float | None:
        """Wait after which the backend is left for another one; None where there is no other."""
        return self.backend.patience_s if self._slot.has_other(self.backend) else None

    async def open(self) -> None:
        """Open the stream if it is not, on the best backend that takes it; retried until time is up.

        Raises:
            ServiceFailed: every backend refused the config or cannot be reached.
        """
        timeout_s = self._timeouts.reopen_s if self.epoch else self._timeouts.connect_s
        await self._open(timeout_s, self._timeouts.connect_s)

    async def reach(self) -> None:
        """As `open`; with one short try, and not at every call, once that has failed or the slot is known to be down.

        For those who have something else to do meanwhile.

        Raises:
            ServiceFailed: see `open`.
        """
        if self.is_open:
            return
        if self.failure is not None and self._clock.now() - self._failed_at < TRY_GAP_S:
            raise self.failure.with_traceback(None)
        if self.failure is not None or (not self.epoch and self._slot.is_down):
            await self._open(0.0, TRY_S)
        else:
            await self.open()

    async def _open(self, timeout_s: float, connect_timeout_s: float) -> None:
        async with self._opening:
            if self._call is not None:
                return
            until = self._clock.now() + timeout_s
            attempts = AsyncRetrying(
                retry=retry_if_exception(_is_transient),
                # tenacity's own limits read the host's clock.
                stop=lambda _: self._clock.now() >= until,
                wait=wait_exponential_jitter(multiplier=0.05, max=0.5, jitter=0.05),
                reraise=True,
            )
            try:
                call = await attempts(self._connect_to_first, connect_timeout_s)
            except ServiceFailed as failure:
                self.failure, self._failed_at = failure, self._clock.now()
                self.on_opening(failure)
                raise
            self._call = call
            self.failure, self.is_going_away = None, False
            self.epoch += 1
            self._pump = asyncio.create_task(self._read(call))
            self.on_opening(None)

    async def leave(self, failure: ServiceFailed) -> None:
        """The backend did not answer as it should: the stream is opened elsewhere when it is next needed."""
        self.backend.failed(failure.problem)
        await self.close()

    async def send(self, request: Request) -> None:
        """Send one message, opening the stream first if it broke.

        Raises:
            ServiceFailed: the stream cannot be opened or broke just now.
        """
        await self.open()
        call = self._call
        if call is None:
            raise ServiceFailed(self.backend.label, grpc.StatusCode.UNAVAILABLE, "the stream broke")
        try:
            await call.write(request)
        except CallOver as over:
            self._forget(call)
            failure = ServiceFailed.from_over(self.backend.label, over)
            _count(self.backend, failure)
            raise failure from None

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

    async def _connect_to_first(self, timeout_s: float) -> DuplexCall[Request, Response]:
        candidates = self._slot.candidates(self.languages)
        failures: list[ServiceFailed] = []
        for backend in candidates:
            try:
                return await self._connect(backend, timeout_s / len(candidates))
            except ServiceFailed as failure:
                failures.append(failure)
                _count(backend, failure)
        # What can be mended by waiting is waited for, else the first choice's refusal is told.
        raise next((failure for failure in failures if _is_transient(failure)), failures[0])

    async def _connect(self, backend: Backend, timeout_s: float) -> DuplexCall[Request, Response]:
        call = DuplexCall(self._method(backend.channel))
        try:
            async with asyncio.timeout(timeout_s):
                await call.write(self._config)
                first = await call.read()
        except TimeoutError:
            call.cancel()
            raise ServiceFailed(
                backend.label, grpc.StatusCode.UNAVAILABLE, f"no answer within {timeout_s:g} s"
            ) from None
        except CallOver as over:
            raise ServiceFailed.from_over(backend.label, over) from None
        except BaseException:
            call.cancel()
            raise
        if first is None:
            raise ServiceFailed.from_over(backend.label, CallOver(None))
        backend.opened()
        self.backend = backend
        self.ready = first.ready  # pyright: ignore[reportAttributeAccessIssue] # every slot's first answer has it
        return call

    async def _read(self, call: DuplexCall[Request, Response]) -> None:
        try:
            while (response := await call.read()) is not None:
                if response.HasField("going_away"):
                    self.is_going_away = True
                else:
                    await self._on_response(response)
            failure = ServiceFailed.from_over(self.backend.label, CallOver(None))
        except CallOver as over:
            failure = ServiceFailed.from_over(self.backend.label, over)
        except Exception:
            # A bug of ours: the session must not wait for answers that nobody reads.
            log.exception("reading a service's answers failed", extra={"service": self.backend.label})
            failure = ServiceFailed(self.backend.label, grpc.StatusCode.INTERNAL, "internal error")
            call.cancel()
        if self._call is call:
            self._forget(call)
            _count(self.backend, failure)
            self._on_failure(failure)

    def _forget(self, call: DuplexCall[Request, Response]) -> None:
        if self._call is call:
            self._call = None


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ServiceFailed) and error.code == grpc.StatusCode.UNAVAILABLE


def _count(backend: Backend, failure: ServiceFailed) -> None:
    """What the caller brought about is not the backend's fault."""
    if failure.is_worth_another_try:
        backend.failed(failure.problem)
