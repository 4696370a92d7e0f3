"""The one place where errors become statuses: typed ones with details, all others INTERNAL without text."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from voxmesh_runtime.errors import InvalidArgument, VoxmeshError, first_error

log = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour = Callable[[Any, Any], Awaitable[Any]]
Decode = Callable[[bytes], Any]

STATUS_TIMEOUT_S = 10.0
"""Longest wait for a client that does not read to take its status, in seconds."""


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every voxmesh method; other services answer for themselves.

    It acts once a call and not once a message: streams pass through as grpc gives them.

    Args:
        check_loaded: raises what a call gets while the model still loads.
    """

    def __init__(self, check_loaded: Callable[[], None]) -> None:
        self._check_loaded = check_loaded

    async def intercept_service(  # pyright: ignore[reportIncompatibleMethodOverride] # any message, not one pair
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Give the method's handler with its errors mapped; None where there is no such method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith("/voxmesh."):
            return handler
        decode = _decoder(handler.request_deserializer)  # pyright: ignore[reportArgumentType] # generated code gives one
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._mapped(method, handler.stream_stream),  # pyright: ignore[reportArgumentType] # a coroutine in aio
                decode,
                handler.response_serializer,
            )
        # Decoded under the mapping: what fails before it reaches the caller as grpc words it.
        behaviour = _decoding(decode, handler.unary_unary)
        return grpc.unary_unary_rpc_method_handler(
            self._mapped(method, behaviour),  # pyright: ignore[reportArgumentType] # a coroutine in aio
            None,
            handler.response_serializer,
        )

    def _mapped(self, method: str, behaviour: Any) -> Behaviour:  # grpc's own type is a union of callables
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # any message
            try:
                self._check_loaded()
                return await behaviour(request, context)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # mapped or raised again, never dropped
                cause = first_error(error)
                if not isinstance(cause, Exception):
                    raise
                await _abort(method, cause, context)

        return call


def _decoder(decode: Decode) -> Decode:
    def checked(data: bytes) -> Any:  # any message
        try:
            return decode(data)
        except DecodeError:
            raise InvalidArgument("request", "these bytes are no message of this method") from None

    return checked


def _decoding(decode: Decode, behaviour: Any) -> Behaviour:  # grpc's own type is a union of callables
    async def call(data: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # any message
        return await behaviour(decode(data), context)

    return call


async def _abort(method: str, error: Exception, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    if isinstance(error, VoxmeshError):
        log.info("call refused", extra={"method": method, "code": error.code.name})
        await _delivered(context.abort_with_status(error.to_status()))
    if context.cancelled() or context.done():
        return
    log.error("call failed", extra={"method": method}, exc_info=error)
    await _delivered(context.abort(grpc.StatusCode.INTERNAL, "internal error; the service's log says more"))


async def _delivered(sending: Awaitable[None]) -> None:
    """Wait until a status is sent; one that its caller does not take, or has left, ends as a cancelled call."""
    try:
        async with asyncio.timeout(STATUS_TIMEOUT_S):
            await sending
    except (TimeoutError, grpc.aio.InternalError):
        raise asyncio.CancelledError from None
