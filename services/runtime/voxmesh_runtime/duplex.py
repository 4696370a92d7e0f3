"""The client's side of a bidirectional call, with the server's own status at its end.

grpc.aio lets a write that meets the end of a stream replace the server's status by INTERNAL, and `read()`
then raises before the answers that are already there. Iterating and a callback for the status do neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from voxmesh_runtime.channels import MAX_MESSAGE_BYTES

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")
Value = TypeVar("Value")

_WRITE_FAILED = ("Internal error from Core", "Failed execute_batch")
_SETTLE_STEP_S = 0.005
_SETTLE_STEPS = 100


class CallOver(Exception):
    """The call has ended; `status` says why, and is None where the server ended it well."""

    def __init__(self, status: grpc.aio.AioRpcError | None) -> None:
        super().__init__("the call has ended")
        self.status = status


class DuplexCall(Generic[Request, Response]):
    """One call: awaited writes, reads up to the last answer.

    Raises:
        CallOver: from `write` when the call has ended, from `read` when it ended badly.
    """

    def __init__(self, call: grpc.aio.StreamStreamCall[Request, Response]) -> None:
        self._call = call
        self._responses = aiter(call)
        self._status: grpc.aio.AioRpcError | None = None
        call.add_done_callback(self._keep_status)

    async def wait_for_connection(self) -> None:
        """Wait until the call has a connection."""
        try:
            await self._call.wait_for_connection()
        except grpc.aio.AioRpcError as error:
            raise CallOver(await self._failure(error)) from None

    async def write(self, request: Request) -> None:
        """Send one message; waits while the server's window is full. One that is too large ends the call unsent."""
        self._refuse_if_too_large(request)
        try:
            await self._call.write(request)
        except asyncio.CancelledError:
            if self._is_callers_own():
                raise
            raise CallOver(await self._failure(None)) from None
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            seen = error if isinstance(error, grpc.aio.AioRpcError) else None
            raise CallOver(await self._failure(seen)) from None

    async def read(self) -> Response | None:
        """The next answer; None when the server ended the call well."""
        try:
            return await anext(self._responses, None)
        except asyncio.CancelledError:
            if self._is_callers_own():
                raise
            raise CallOver(await self._failure(None)) from None
        except grpc.aio.AioRpcError as error:
            failure = await self._failure(error)
            if failure is None:
                return None
            raise CallOver(failure) from None

    async def half_close(self) -> None:
        """Say that no message follows; nothing happens when the call is over."""
        await self._call.done_writing()

    def cancel(self) -> None:
        """End the call now; nothing happens when it is over."""
        self._call.cancel()

    def _refuse_if_too_large(self, request: Request) -> None:
        # grpc.aio would report it as an internal error, which looks as if another try might pass.
        size = request.ByteSize()
        if size > MAX_MESSAGE_BYTES and self._status is None:
            message = f"CLIENT: Sent message larger than max ({size} vs. {MAX_MESSAGE_BYTES})"
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            self._status = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), message)
            self._call.cancel()
            raise CallOver(self._status)

    def _is_callers_own(self) -> bool:
        """A cancellation is of the task that waits; grpc.aio raises one, too, where the call was cancelled."""
        task = asyncio.current_task()
        return task is None or bool(task.cancelling()) or not self._call.done()

    async def _failure(self, seen: grpc.aio.AioRpcError | None) -> grpc.aio.AioRpcError | None:
        """The server's status, once it is known; None when it is OK."""
        for _ in range(_SETTLE_STEPS):
            if self._status is not None:
                break
            await asyncio.sleep(_SETTLE_STEP_S)
        status = self._status or seen
        return None if status is None or status.code() is grpc.StatusCode.OK else status

    def _keep_status(self, call: Any) -> None:
        """Keep the first status that is the server's; grpc.aio tells each time it sets one."""
        details = _at_once(call.details()) or ""
        if self._status is None and not details.startswith(_WRITE_FAILED):
            self._status = grpc.aio.AioRpcError(
                _at_once(call.code()), grpc.aio.Metadata(), _at_once(call.trailing_metadata()), details
            )


def _at_once(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the call is not over")
