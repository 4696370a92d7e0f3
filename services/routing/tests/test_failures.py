"""Which failures of a service another backend, or a later try, may mend."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyProto

from voxmesh_routing.failures import ServiceFailed
from voxmesh_runtime.errors import InvalidArgument, NotFound, Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.statuses import MAX_STATUS_BYTES, encoded_bytes

pytestmark = pytest.mark.unit


def failed(error: VoxmeshError) -> ServiceFailed:
    return ServiceFailed("stt at a:1", error.code, error.message, error.to_proto().details)


TOO_LARGE = ServiceFailed(
    "llm at a:1", grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (5 vs. 4)"
)


@pytest.mark.parametrize(
    ("failure", "is_worth"),
    [
        (failed(Overloaded("full")), True),
        (failed(Unavailable("loads")), True),
        (ServiceFailed("stt at a:1", grpc.StatusCode.UNAVAILABLE, "connection refused"), True),
        (TOO_LARGE, False),
        (failed(InvalidArgument("a", "wrong")), False),
    ],
    ids=["C9-full", "C9-loading", "C9-gone", "C9-too-large", "C9-wrong"],
)
def test_c9_what_is_too_large_is_not_tried_again(failure: ServiceFailed, is_worth: bool) -> None:  # noqa: FBT001 # a parameter of the test
    assert failure.is_worth_another_try is is_worth


def test_c9_what_a_service_refused_at_length_is_passed_on_within_the_limit_with_its_details() -> None:
    status = failed(NotFound("voice", "ಕ" * 8000, "ಕ" * 8000)).to_proto()
    assert encoded_bytes(status) <= MAX_STATUS_BYTES
    (packed,) = status.details
    assert isinstance(packed, AnyProto)
    assert packed.TypeName() == "google.rpc.ResourceInfo"
    assert status.message.startswith("stt at a:1: ")
