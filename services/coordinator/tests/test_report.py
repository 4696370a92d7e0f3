"""Where the time of a turn went."""

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh_coordinator.metrics.turn_metrics import TurnMetrics
from voxmesh_routing.call_timing import UpstreamCallTiming
from voxmesh_routing.clock_offset import Clocks
from voxmesh_runtime.clock import timestamp

pytestmark = pytest.mark.unit

MS = 1_000_000


def test_overlapping_hops_explain_a_moment_once() -> None:
    clock = TurnMetrics(turn_index=0, speech_ended_ns=0, turn_ended_ns=400 * MS, first_audio_ns=1_000 * MS)
    clock.speech_ended_ns = 1
    clock.hops = [
        UpstreamCallTiming("a", "", 300 * MS, finished_ns=700 * MS),
        UpstreamCallTiming("b", "", 500 * MS, finished_ns=900 * MS),
    ]
    assert clock.to_proto().explained_share == pytest.approx(0.9)


def test_a_turn_without_audio_explains_nothing() -> None:
    assert TurnMetrics(turn_index=0).to_proto().explained_share == 0.0


def test_times_that_did_not_happen_are_unset() -> None:
    report = TurnMetrics(turn_index=3).to_proto()
    assert not report.HasField("first_audio_time")
    assert not report.HasField("speech_ended_time")
    # Zeros, unless a test before this one on the same worker has set up tracing.
    assert len(report.trace_id) == 32


def test_time_after_the_turn_could_have_ended_is_for_the_hops_to_explain() -> None:
    clock = TurnMetrics(turn_index=0, speech_ended_ns=1, turn_endable_ns=400 * MS, turn_ended_ns=900 * MS)
    clock.first_audio_ns = 1_000 * MS
    clock.hops = [UpstreamCallTiming("llm/x", "", 600 * MS, finished_ns=1_000 * MS)]
    assert clock.to_proto().explained_share == pytest.approx(0.8)


def test_work_before_the_end_of_the_turn_is_speculative_but_for_the_judgement_of_the_end() -> None:
    clock = TurnMetrics(turn_index=0, speech_ended_ns=1, turn_ended_ns=500 * MS)
    judgement = UpstreamCallTiming("turn/x", "", 100 * MS, is_listening=True)
    clock.hops = [judgement, UpstreamCallTiming("llm/x", "", 200 * MS), UpstreamCallTiming("tts/x", "", 600 * MS)]
    assert [hop.speculative for hop in clock.to_proto().hops] == [False, True, False]


def test_clocks_learn_from_every_turn_and_from_work_that_was_thrown_away() -> None:
    clocks, errors = Clocks(50), list[int]()
    for turn, (there, back) in enumerate(((40, 2), (2, 40), (40, 40))):
        sent = (turn + 1) * 1_000 * MS
        stamps = (timestamp(sent + there * MS), timestamp(sent + 100 * MS))
        finished = sent + (100 + back) * MS
        timing = common_pb2.Timing(received_time=stamps[0], started_time=stamps[0], finished_time=stamps[1])
        hop, clock = (
            UpstreamCallTiming("llm/x", "titan", sent, finished, finished, timing),
            TurnMetrics(turn_index=turn),
        )
        clock.hops = [hop]
        if turn == 1:
            clock.discard([hop])
        report = clock.to_proto(clocks)
        errors += [made.clock_offset_error.ToNanoseconds() for made in report.hops]
        assert len(report.hops) == (turn != 1)
    assert errors[0] == pytest.approx(21 * MS, rel=0.01)
    assert errors[1] == pytest.approx(2 * MS, rel=0.1)
