"""Failures of the services behind the coordinator, typed and named by service."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf.any_pb2 import Any as AnyProto
from google.rpc import error_details_pb2, status_pb2

from voxmesh_runtime.clock import duration
from voxmesh_runtime.duplex import CallOver
from voxmesh_runtime.errors import VoxmeshError
from voxmesh_runtime.statuses import asks_to_retry, details_of, status_of

_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.ABORTED,
}

_TRY_AGAIN = AnyProto()
_TRY_AGAIN.Pack(error_details_pb2.RetryInfo(retry_delay=duration(1.0)))
"""Where the service itself says nothing: it may be there again in a moment."""


class ServiceFailed(VoxmeshError):
    """A service refused or broke; keeps its code and its google.rpc details.

    Args:
        service: slot and target, such as "stt at 127.0.0.1:50052".
        code: the status of the service.
        message: what it said.
        packed: its details, still packed.
    """

    def __init__(self, service: str, code: grpc.StatusCode, message: str, packed: Sequence[AnyProto] = ()) -> None:
        super().__init__(f"{service}: {message}")
        self.problem = message
        self.code = code
        self.packed = tuple(packed) or ((_TRY_AGAIN,) if code == grpc.StatusCode.UNAVAILABLE else ())

    @classmethod
    def from_over(cls, service: str, over: CallOver) -> ServiceFailed:
        """The failure of a stream that is over, also when the service ended it well."""
        if over.status is None:
            return cls(service, grpc.StatusCode.UNAVAILABLE, "the service ended the stream")
        return cls.from_call(service, over.status)

    @classmethod
    def from_call(cls, service: str, error: grpc.aio.AioRpcError) -> ServiceFailed:
        """The failure that ended a call."""
        packed = details_of(error)
        message = error.details() or error.code().name
        if error.code() == grpc.StatusCode.UNAVAILABLE and not packed:
            message = f"not reachable ({message}); is it running and healthy?"
        return cls(service, error.code(), message, packed)

    @property
    def is_absence(self) -> bool:
        """The service is not there or is broken: it neither refuses what was asked nor is it busy with other things."""
        return self.is_worth_another_try and self.code != grpc.StatusCode.RESOURCE_EXHAUSTED

    @property
    def is_worth_another_try(self) -> bool:
        """Another backend, or the same one later, may do better; nothing is wrong with what was asked."""
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return asks_to_retry(self.packed)
        return self.code in _PASSING

    def to_proto(self) -> status_pb2.Status:
        """The failure as google.rpc.Status, with the service's details."""
        return status_of(self.code, self.message, self.packed)

    @property
    def number(self) -> int:
        """The code's number."""
        value: tuple[int, str] = self.code.value
        return value[0]
