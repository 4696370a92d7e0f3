"""One hop on one clock: its parts add up, whatever the other clock says."""

from __future__ import annotations

import random

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.clock_offset import Answer, Exchange, ServiceClock
from voxmesh_runtime.clock import duration, timestamp

pytestmark = pytest.mark.unit

MS = 1_000_000
START_NS = 1_800_000_000_000_000_000
PARTS = ("network_duration", "input_duration", "queue_duration", "compute_duration")
WAYS = ("network_there_duration", "network_back_duration")


def timing(received: float, started: float, first: float | None, finished: float, **more: float) -> common_pb2.Timing:
    """A service's stamps in milliseconds after `START_NS`, by a clock that is `ahead_ms`."""
    ahead_ms = more.get("ahead_ms", 0.0)

    def at(ms: float) -> int:
        return START_NS + round((ms + ahead_ms) * MS)

    return common_pb2.Timing(
        received_time=timestamp(at(received)),
        started_time=timestamp(at(started)),
        first_output_time=None if first is None else timestamp(at(first)),
        finished_time=timestamp(at(finished)),
        queue_duration=duration(more.get("queue_ms", 0.0) / 1000),
    )


def hop(service: str, sent: float, first: float, finished: float, stamps: common_pb2.Timing) -> UpstreamCallTiming:
    """Our stamps, in milliseconds after `START_NS`."""
    sent_ns, first_ns, finished_ns = (START_NS + round(ms * MS) for ms in (sent, first, finished))
    return UpstreamCallTiming(service, "titan", sent_ns, first_ns, finished_ns, stamps)


def parts_ms(made: conversation_pb2.Hop, names: tuple[str, ...] = PARTS) -> list[float]:
    return [getattr(made, name).ToNanoseconds() / MS for name in names]


def adds_up(made: conversation_pb2.Hop) -> bool:
    total_ns = made.first_output_time.ToNanoseconds() - made.sent_time.ToNanoseconds()
    network_ns = sum(getattr(made, name).ToNanoseconds() for name in WAYS)
    return (
        sum(getattr(made, name).ToNanoseconds() for name in PARTS) == total_ns
        and network_ns == made.network_duration.ToNanoseconds()
        and min(parts_ms(made, (*PARTS, *WAYS))) >= 0
    )


def well_known(ahead_ms: float) -> ServiceClock:
    """A clock that an exchange without any delay has told exactly."""
    clock, theirs_ns = ServiceClock(0), START_NS + round(ahead_ms * MS)
    clock.observe(Exchange(START_NS, theirs_ns, (Answer(theirs_ns, START_NS),)))
    return clock


@pytest.mark.parametrize("ahead_ms", [0, 3000, -400])
def test_a_hop_divides_into_network_queue_and_compute_whatever_the_other_clock_says(ahead_ms: float) -> None:
    stamps = timing(10, 40, 90, 95, queue_ms=30, ahead_ms=ahead_ms)
    made = hop("llm/x", 0, 100, 105, stamps).to_proto()
    assert parts_ms(made) == [20, 0, 30, 50]
    assert adds_up(made)
    assert made.clock_offset.ToNanoseconds() / MS == pytest.approx(ahead_ms, abs=0.1)
    assert made.clock_offset_error.ToNanoseconds() / MS == pytest.approx(10, abs=0.1)


def test_a_clock_that_is_known_tells_the_way_there_from_the_way_back() -> None:
    clock, call = well_known(3000), hop("llm/x", 0, 100, 105, timing(5, 5, 65, 70, ahead_ms=3000))
    assert call.exchange is not None
    clock.observe(call.exchange)
    made = call.to_proto(clock)
    assert parts_ms(made, WAYS) == pytest.approx([5, 35])
    assert (made.corrected_received_time.ToNanoseconds() - START_NS) / MS == pytest.approx(5, abs=0.001)
    assert (made.corrected_finished_time.ToNanoseconds() - START_NS) / MS == pytest.approx(70, abs=0.001)
    assert (made.service_timing.received_time.ToNanoseconds() - START_NS) / MS == pytest.approx(3005, abs=0.001)


def test_waiting_for_the_rest_of_its_input_is_neither_queue_nor_compute() -> None:
    made = hop("tts/x", 0, 200, 300, timing(10, 110, 190, 290, queue_ms=20)).to_proto()
    assert parts_ms(made) == [20, 80, 20, 80]
    assert adds_up(made)


def test_a_queue_of_later_steps_does_not_belong_to_the_first_output() -> None:
    made = hop("tts/x", 0, 50, 900, timing(10, 20, 40, 890, queue_ms=500)).to_proto()
    assert parts_ms(made) == [20, 0, 10, 20]


def test_without_an_output_of_its_own_the_end_counts() -> None:
    made = hop("stt/x", 0, 60, 60, timing(10, 20, None, 50)).to_proto()
    assert parts_ms(made) == [20, 10, 0, 30]
    assert adds_up(made)


def test_an_interim_result_that_was_under_way_is_not_the_output_of_a_finalize() -> None:
    for arrived in (2, 50, 85, 104):
        made = hop("stt/x", 0, arrived, 105, timing(10, 10, 90, 95)).to_proto()
        assert made.first_output_time.ToNanoseconds() == START_NS + 105 * MS
        assert parts_ms(made) == [20, 0, 0, 85]
        assert abs(made.clock_offset.ToNanoseconds()) <= made.clock_offset_error.ToNanoseconds()


def test_a_clock_set_in_mid_work_leaves_the_parts_in_order_and_the_clock_unknown() -> None:
    for jump_ms in (-5000, 5000):
        stamps = timing(10, 20, 90 + jump_ms, 95 + jump_ms)
        call, clock = hop("llm/x", 0, 100, 105, stamps), well_known(0)
        assert call.exchange is not None
        clock.observe(call.exchange)
        made = call.to_proto(clock)
        assert adds_up(made)
        if jump_ms > 0:
            assert not made.HasField("clock_offset")
            assert not made.HasField("corrected_received_time")


def test_the_parts_add_up_and_none_is_negative_for_any_stamps_at_all() -> None:
    dice = random.Random(4)  # noqa: S311 # no secret
    clock = ServiceClock(50)
    for _ in range(3000):
        sent, first, finished = sorted(dice.uniform(0, 500) for _ in range(3))
        theirs = [dice.uniform(-600, 1000) for _ in range(4)]
        received, started, answered, left = sorted(theirs) if dice.random() < 0.5 else theirs
        stamps = timing(received, started, answered, left, queue_ms=dice.uniform(0, 300))
        call = hop(dice.choice(["stt/x", "llm/x"]), sent, first, finished, stamps)
        assert call.exchange is not None
        clock.observe(call.exchange)
        made = call.to_proto(clock)
        assert adds_up(made)
        if made.HasField("clock_offset"):
            ordered = [
                made.sent_time,
                made.corrected_received_time,
                made.corrected_started_time,
                made.corrected_first_output_time,
                made.first_output_time,
            ]
            times = [each.ToNanoseconds() for each in ordered]
            assert times == sorted(times)


def test_a_hop_that_never_finished_tells_what_is_known() -> None:
    call = UpstreamCallTiming("llm/x", "titan", START_NS, START_NS + 5 * MS)
    made = call.to_proto()
    assert call.exchange is None
    assert made.HasField("first_output_time")
    assert not made.HasField("network_duration")
    assert not made.HasField("finished_time")
