"""Where the time of a turn went."""

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh_coordinator.clock_offset import Exchange
from voxmesh_coordinator.report import HopClock, TurnClock
from voxmesh_runtime.clock import duration, seconds_of, timestamp

pytestmark = pytest.mark.unit

MS = 1_000_000


def test_an_exchange_tells_the_clock_offset_within_its_bound() -> None:
    # 10 ms there, 20 ms of work, 30 ms back; the other clock is 500 ms ahead.
    exchange = Exchange(0, 510 * MS, 530 * MS, 60 * MS)
    assert exchange.network_s == pytest.approx(0.040)
    offset = exchange.clock_offset
    assert abs(offset.offset_s - 0.5) <= offset.error_s
    assert offset.error_s == pytest.approx(0.020)


def test_a_hop_splits_into_network_queue_and_compute_whatever_the_other_clock_says() -> None:
    ahead = 3_000 * MS
    hop = HopClock("stt/x", "host", sent_ns=1_000 * MS, first_output_ns=1_100 * MS)
    hop.timing = common_pb2.Timing(
        received_time=timestamp(1_010 * MS + ahead),
        started_time=timestamp(1_040 * MS + ahead),
        first_output_time=timestamp(1_090 * MS + ahead),
        finished_time=timestamp(1_095 * MS + ahead),
        queue_duration=duration(0.030),
    )
    proto = hop.to_proto()
    assert seconds_of(proto.network_duration) == pytest.approx(0.020)
    assert seconds_of(proto.queue_duration) == pytest.approx(0.030)
    assert seconds_of(proto.compute_duration) == pytest.approx(0.050)
    assert seconds_of(proto.clock_offset) == pytest.approx(3.0)


def test_overlapping_hops_explain_a_moment_once() -> None:
    clock = TurnClock(turn_index=0, speech_ended_ns=0, turn_ended_ns=400 * MS, first_audio_ns=1_000 * MS)
    clock.speech_ended_ns = 1
    clock.hops = [HopClock("a", "", 300 * MS, finished_ns=700 * MS), HopClock("b", "", 500 * MS, finished_ns=900 * MS)]
    assert clock.to_proto("").explained_share == pytest.approx(0.9)


def test_a_turn_without_audio_explains_nothing() -> None:
    assert TurnClock(turn_index=0).to_proto("").explained_share == 0.0


def test_times_that_did_not_happen_are_unset() -> None:
    report = TurnClock(turn_index=3).to_proto("ab")
    assert not report.HasField("first_audio_time")
    assert not report.HasField("speech_ended_time")
    assert report.trace_id == "ab"
