"""Reports of all sessions: kept, given on request, exported as spans."""

from __future__ import annotations

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_coordinator.metrics.report_log import ReportLog
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_coordinator.servicer import CoordinatorService
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_runtime.clock import timestamp
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_testing.streams import serving

pytestmark = pytest.mark.unit

Request = conversation_pb2.ListTurnReportsRequest
MS = 1_000_000
TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")


def over(index: int) -> TurnMetrics:
    """A turn with a hop whose service is 3 s ahead."""
    turn = TurnMetrics(span=TRACER.start_span("turn"))
    turn.turn_index = index
    ahead = [timestamp((at_ms + 3_000) * MS) for at_ms in (1_010, 1_020, 1_090, 1_095)]
    names = ("received_time", "started_time", "first_output_time", "finished_time")
    timing = common_pb2.Timing(**dict(zip(names, ahead, strict=True)))
    turn.hops = [UpstreamCallTiming("stt/x", "titan", 1_000 * MS, 1_100 * MS, 1_105 * MS, timing)]
    return turn


def log_of(size: int = 100) -> ReportLog:
    return ReportLog("here", size, 50)


def indices(log: ReportLog, **conditions: object) -> list[int]:
    return [turn.report.turn_index for turn in log.find(Request(**conditions))]  # pyright: ignore[reportArgumentType] # fields of the request


def test_the_newest_report_is_given_unless_more_are_wanted() -> None:
    log = log_of()
    for index in range(3):
        log.make(over(index), "one")
    assert indices(log) == [2]
    assert indices(log, limit=2) == [1, 2]
    assert indices(log, limit=1000) == [0, 1, 2]


def test_reports_are_found_by_session_trace_and_time() -> None:
    log = log_of()
    for index, session in enumerate(("one", "two", "one")):
        log.make(over(index), session)
    held = log.find(Request(limit=10))
    assert indices(log, session_id="one", limit=10) == [0, 2]
    assert indices(log, trace_id=held[1].report.trace_id) == [1]
    assert indices(log, trace_id=held[1].report.trace_id[:12]) == [1]
    assert indices(log, after_time=held[0].report_time, limit=10) == [1, 2]
    assert indices(log, session_id="three") == []


def test_no_more_reports_are_held_than_asked_for_and_no_two_have_the_same_time() -> None:
    log = log_of(5)
    for index in range(50):
        log.make(over(index), "one")
    held = log.find(Request(limit=1000))
    assert [turn.report.turn_index for turn in held] == [45, 46, 47, 48, 49]
    assert len({turn.report_time.ToNanoseconds() for turn in held}) == 5


@pytest.mark.parametrize("limit", [-1, 1001])
def test_a_limit_that_is_none_is_refused(limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        log_of().find(Request(limit=limit))


def test_a_report_names_the_coordinators_host() -> None:
    assert log_of().make(over(0), "one").host == "here"


async def test_reports_are_served_and_a_bad_request_is_refused() -> None:
    service = CoordinatorService(CoordinatorSettings())
    async with serving(service, service.streams.settings) as (channel, _):
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        assert not (await stub.ListTurnReports(Request())).turns
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListTurnReports(Request(limit=-5))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "limit" in (refused.value.details() or "")
