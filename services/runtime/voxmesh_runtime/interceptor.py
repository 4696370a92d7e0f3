"""The one place where errors become statuses: typed ones with details, all others INTERNAL without text."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from voxmesh_runtime.errors import VoxmeshError, first_error

log = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour = Callable[[Any, Any], Awaitable[Any]]


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every voxmesh method; other services answer for themselves."""

    async def intercept_service(  # pyright: ignore[reportIncompatibleMethodOverride] # any message, not one pair
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Give the method's handler with its errors mapped."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if not method.startswith("/voxmesh."):
            return handler
        codecs = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(_mapped(method, handler.stream_stream), **codecs)  # pyright: ignore[reportArgumentType, reportCallIssue] # aio behaviours are coroutines
        return grpc.unary_unary_rpc_method_handler(_mapped(method, handler.unary_unary), **codecs)  # pyright: ignore[reportArgumentType, reportCallIssue] # the same


def _mapped(method: str, behaviour: Any) -> Behaviour:  # grpc's own type is a union of callables
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # any message
        try:
            return await behaviour(request, context)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # mapped or raised again, never dropped
            cause = first_error(error)
            if not isinstance(cause, Exception):
                raise
            await _abort(method, cause, context)

    return call


async def _abort(method: str, error: Exception, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    if isinstance(error, VoxmeshError):
        log.info("call refused", extra={"method": method, "code": error.code.name})
        await context.abort_with_status(error.to_status())
    if context.cancelled() or context.done():
        return
    log.error("call failed", extra={"method": method}, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error; the service's log says more")
