"""What a caller learns when a service refuses or fails: a MeshError that says what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from voxmesh_client.slots import BY_NAME, DEFAULT_BASE_PORT
from voxmesh_runtime.proxies import bypasses_proxy
from voxmesh_runtime.statuses import details_of


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request that is wrong."""

    field: str
    problem: str


class MeshError(Exception):
    """A call failed.

    Attributes:
        code: gRPC status.
        message: what is wrong.
        service: short name of the service, such as "stt".
        what_to_do: one sentence for a person; empty when the message says it all.
        retry_after_s: seconds after which the service asks to be tried again; None when it does not.
        violations: fields of the request that are wrong.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        service: str,
        what_to_do: str = "",
        *,
        retry_after_s: float | None = None,
        violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.service = service
        self.what_to_do = what_to_do
        self.retry_after_s = retry_after_s
        self.violations = violations

    def __str__(self) -> str:
        text = f"{self.service}: {self.message}"
        return f"{text}: {self.what_to_do}" if self.what_to_do else text

    @property
    def may_retry(self) -> bool:
        """True when the same request may pass a moment later."""
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            # Without a time to come back it is grpc's own word for a message that is too large.
            return self.retry_after_s is not None
        return self.code is grpc.StatusCode.UNAVAILABLE


def from_rpc(error: grpc.aio.AioRpcError, service: str, target: str) -> MeshError:
    """The MeshError of a failed call to `service` at `target`, with its google.rpc details."""
    details = _details(error)
    message = error.details() or error.code().name.lower().replace("_", " ")
    return MeshError(
        error.code(),
        message,
        service,
        _what_to_do(error.code(), message, details, target),
        retry_after_s=details.retry_after_s,
        violations=details.violations,
    )


class NotRunning(MeshError):
    """Nobody listens at `target`, which is on this machine: to ask again is of no use before it is started."""

    def __init__(self, service: str, target: str) -> None:
        found = nothing_answers(service, target)
        super().__init__(found.code, found.message, service, found.what_to_do)

    @property
    def may_retry(self) -> bool:
        """Never."""
        return False


def nothing_answers(service: str, target: str) -> MeshError:
    """No server is at `target`."""
    return MeshError(grpc.StatusCode.UNAVAILABLE, f"nothing answers at {target}", service, _start(service, target))


def _start(service: str, target: str) -> str:
    """How to start what does not answer, so that it answers there."""
    if not bypasses_proxy(target):
        return "check the address, and that it runs there"
    port, slot = target.rpartition(":")[2], BY_NAME.get(service)
    base_port = int(port) - slot.port_offset if port.isdecimal() and slot is not None else 0
    option = f" --base-port {base_port}" if base_port > 0 and base_port != DEFAULT_BASE_PORT else ""
    return f"start it with `voxmesh up{option}`"


def not_serving(service: str, target: str) -> MeshError:
    """A server is at `target` but serves no streams now."""
    return MeshError(
        grpc.StatusCode.UNAVAILABLE,
        f"the service at {target} is loading its model or stopping",
        service,
        "wait until `voxmesh status` shows it serving",
    )


def no_answer(service: str, target: str, timeout_s: float) -> MeshError:
    """The server at `target` took too long."""
    return MeshError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        f"no answer from {target} within {timeout_s:g} s",
        service,
        "look at `voxmesh status` and the service's log, or allow more time",
    )


@dataclass(slots=True)
class _Details:
    retry_after_s: float | None = None
    violations: tuple[FieldViolation, ...] = ()
    engines: str = ""


def _details(error: grpc.aio.AioRpcError) -> _Details:
    found = _Details()
    for packed in details_of(error):
        for kind in (error_details_pb2.RetryInfo, error_details_pb2.BadRequest, error_details_pb2.ErrorInfo):
            detail = kind()
            if packed.Unpack(detail):
                _take(found, detail)
    return found


def _take(found: _Details, detail: Message) -> None:
    match detail:
        case error_details_pb2.RetryInfo():
            found.retry_after_s = detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9
        case error_details_pb2.BadRequest():
            found.violations = tuple(
                FieldViolation(violation.field, violation.description) for violation in detail.field_violations
            )
        case error_details_pb2.ErrorInfo():
            found.engines = detail.metadata.get("engines", "")
        case _:
            pass


_ADVICE: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "allow more time, or look at `voxmesh status`",
    grpc.StatusCode.UNIMPLEMENTED: "see `voxmesh models`",
    grpc.StatusCode.FAILED_PRECONDITION: "see `voxmesh models`",
    grpc.StatusCode.NOT_FOUND: "see `voxmesh models`",
    grpc.StatusCode.INTERNAL: "the service's log says why",
    grpc.StatusCode.UNKNOWN: "the service's log says why",
}

_LARGER: Final = re.compile(r"larger than max|exceeds .*(?:size|limit)")
_TOO_LARGE: Final = "one message is too large (its bytes vs. the most allowed); send less at once"


def _what_to_do(code: grpc.StatusCode, message: str, details: _Details, target: str) -> str:
    if details.retry_after_s is not None:
        return f"try again in {details.retry_after_s:g} s"
    if details.engines:
        return f"engines that can: {details.engines}"
    if code is grpc.StatusCode.UNAVAILABLE:
        return f"the connection to {target} was lost or refused; look at `voxmesh status`"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _TOO_LARGE if _LARGER.search(message) else "it does not say when to try again; look at the service's log"
    return _ADVICE.get(code, "")
