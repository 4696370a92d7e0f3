"""Errors that a caller may see, each with its gRPC status and google.rpc details.

    VoxmeshError
     ├─ InvalidArgument      a field of the request is wrong
     ├─ FailedPrecondition   right in itself, but not on this service as it is
     ├─ NotFound             a named thing does not exist here
     ├─ Unimplemented        this engine cannot do it; others may
     ├─ Overloaded           full; come back later
     ├─ Unavailable          not now, or no more
     └─ TimedOut             the caller took too long

Anything else that is raised reaches the caller as INTERNAL without its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import grpc
from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from voxmesh_runtime.quoting import encodable
from voxmesh_runtime.statuses import status_of

DOMAIN = "voxmesh"

_MAX_VIOLATIONS = 20
"""Violations told at once; a longer status would be cut."""


class VoxmeshError(Exception):
    """An error with a status; `message` says what is wrong and what to do."""

    code = grpc.StatusCode.INTERNAL

    def __init__(self, message: str, details: Iterable[Message] = ()) -> None:
        message = encodable(message)
        super().__init__(message)
        self.message = message
        self.details = tuple(details)

    def to_proto(self) -> status_pb2.Status:
        """The error as google.rpc.Status, cut to what every peer takes whatever a caller sent."""
        return status_of(self.code, self.message, self.details)

    def to_status(self) -> grpc.Status:
        """The error for `ServicerContext.abort_with_status`."""
        return rpc_status.to_status(self.to_proto())


class InvalidArgument(VoxmeshError):
    """`field` names the request's field by its path, `problem` what is wrong and the limit."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, field: str, problem: str) -> None:
        field, problem = encodable(field), encodable(problem)
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=problem)
        super().__init__(f"{field}: {problem}", [error_details_pb2.BadRequest(field_violations=[violation])])
        self.field = field
        self.problem = problem

    @classmethod
    def of_all(cls, errors: Sequence[InvalidArgument]) -> InvalidArgument:
        """One error with the violations of several, at least one; its message counts those it does not quote."""
        first, more = errors[0], len(errors) - 1
        whole = cls(first.field, f"{first.problem} (and {more} more)" if more else first.problem)
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.problem)
            for error in errors[:_MAX_VIOLATIONS]
        ]
        whole.details = (error_details_pb2.BadRequest(field_violations=violations),)
        return whole


class _ResourceError(VoxmeshError):
    def __init__(self, resource_type: str, name: str, message: str) -> None:
        name, message = encodable(name), encodable(message)
        info = error_details_pb2.ResourceInfo(resource_type=resource_type, resource_name=name, description=message)
        super().__init__(message, [info])


class FailedPrecondition(_ResourceError):
    """A model, upstream or file is not in the state that the request needs."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class NotFound(_ResourceError):
    """A named voice, session or file does not exist here."""

    code = grpc.StatusCode.NOT_FOUND


class Unimplemented(VoxmeshError):
    """The engine cannot do `feature`; `alternatives` names engines that can."""

    code = grpc.StatusCode.UNIMPLEMENTED

    def __init__(self, feature: str, message: str, alternatives: Iterable[str] = ()) -> None:
        engines = encodable(",".join(alternatives))
        info = error_details_pb2.ErrorInfo(
            reason="UNSUPPORTED_BY_ENGINE",
            domain=DOMAIN,
            metadata={"feature": encodable(feature), "engines": engines},
        )
        super().__init__(message, [info])


class _RetryError(VoxmeshError):
    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(retry_after_s * 1000))
        super().__init__(message, [error_details_pb2.RetryInfo(retry_delay=delay)])
        self.retry_after_s = retry_after_s


class Overloaded(_RetryError):
    """A limit of concurrent work is reached; the same request may pass later."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(_RetryError):
    """The service loads, drains, or lost what it depends on."""

    code = grpc.StatusCode.UNAVAILABLE


class TimedOut(VoxmeshError):
    """The caller did not do its part in time."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


def first_error(error: BaseException) -> BaseException:
    """The error that explains `error`: the first typed leaf of a group, else its first leaf."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [first_error(leaf) for leaf in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, VoxmeshError)), leaves[0])
