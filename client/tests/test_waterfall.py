"""The drawing of a turn's time, from reports made by hand."""

from __future__ import annotations

import pytest

from voxmesh.conversation.v1.conversation_pb2 import Hop, TurnReport
from voxmesh_client.waterfall import COMPUTE, INPUT, MORE, NETWORK, QUEUE, WAIT, waterfall
from voxmesh_runtime.clock import duration, timestamp

pytestmark = pytest.mark.unit

START_NS = 1_800_000_000_000_000_000


def at(ms: float) -> int:
    """A wall-clock time, milliseconds after speech ended."""
    return START_NS + round(ms * 1e6)


def hop(
    service: str, sent_ms: float, split_ms: tuple[float, float, float], finished_ms: float, *, speculative: bool = False
) -> Hop:
    """A hop with its network, queue and compute time."""
    network, queue, compute = split_ms
    return Hop(
        service=service,
        host="titan",
        sent_time=timestamp(at(sent_ms)),
        first_output_time=timestamp(at(sent_ms + sum(split_ms))),
        finished_time=timestamp(at(finished_ms)),
        network_duration=duration(network / 1000),
        queue_duration=duration(queue / 1000),
        compute_duration=duration(compute / 1000),
        speculative=speculative,
    )


def spoken_turn(*hops: Hop) -> TurnReport:
    """A turn that ended 400 ms after speech and was answered at 800 ms."""
    return TurnReport(
        turn_index=3,
        speech_ended_time=timestamp(at(0)),
        turn_ended_time=timestamp(at(400)),
        first_audio_time=timestamp(at(800)),
        explained_share=0.97,
        hops=hops,
    )


def plain(report: TurnReport, width: int = 120) -> list[str]:
    return [line.plain for line in waterfall(report, width)]


def bar(line: str, label: str) -> str:
    """The part of a line behind its label."""
    assert label in line
    return line[line.index(label) + len(label) :]


def test_the_headline_tells_the_latency_and_how_much_of_it_is_explained() -> None:
    assert plain(spoken_turn())[0] == "turn 3: first audio 800 ms after speech ended, 97% explained"


def test_discarded_work_is_told() -> None:
    report = spoken_turn()
    report.discarded_compute_duration.CopyFrom(duration(0.035))
    assert "35 ms of work discarded" in plain(report)[0]


def test_the_wait_for_the_end_of_the_turn_is_a_row_with_its_length() -> None:
    line = plain(spoken_turn())[1]
    assert line.startswith("end-of-turn wait")
    assert line.endswith("400 ms")
    assert abs(line.count(WAIT) - line.index("│") // 3) <= 6  # half of the bar before the first audio


def test_a_hop_shows_network_queue_and_compute_in_order_and_in_proportion() -> None:
    line = plain(spoken_turn(hop("stt/moonshine", 0, (100, 200, 400), 700)))[2]
    assert "stt/moonshine @titan" in line
    cells = bar(line, "@titan")
    assert cells.index(NETWORK) < cells.index(QUEUE) < cells.index(COMPUTE) < cells.rindex(NETWORK)
    assert 1.7 < cells.count(COMPUTE) / cells.count(QUEUE) < 2.3
    assert "700 ms (network 50+50, queue 200, compute 400)" in line


def test_work_starts_where_it_started() -> None:
    lines = plain(spoken_turn(hop("llm/llama", 0, (0, 0, 100), 100), hop("tts/hibari", 400, (0, 0, 100), 500)))
    early, late = (bar(line, "@titan") for line in lines[2:4])
    audio_column = lines[1].index("│") - lines[1].index(WAIT)
    between = late.index(COMPUTE) - early.index(COMPUTE)
    assert abs(between - audio_column / 2) <= 2


def test_output_after_the_first_audio_is_drawn_behind_its_mark_and_cut_with_an_arrow() -> None:
    line = plain(spoken_turn(hop("tts/hibari", 500, (0, 0, 300), 9000)))[2]
    before, after = line.split("│")
    assert COMPUTE in before
    assert MORE in after
    assert "→" in after


def test_work_before_the_speech_ended_is_cut_with_an_arrow() -> None:
    line = plain(spoken_turn(hop("turn/silero", -200, (0, 0, 300), 100)))[2]
    assert "←" in line


def test_speculative_work_is_starred_and_the_star_explained() -> None:
    lines = plain(spoken_turn(hop("stt/moonshine", 0, (1, 0, 9), 10, speculative=True)))
    assert "stt/moonshine @titan*" in lines[2]
    assert "* before the end of the turn was certain" in lines[-1]
    assert "*" not in "".join(plain(spoken_turn(hop("stt/moonshine", 0, (1, 0, 9), 10))))


def test_even_the_shortest_hop_is_visible() -> None:
    assert COMPUTE in plain(spoken_turn(hop("stt/moonshine", 100, (0, 0, 0.01), 100.01)))[2]


def test_a_hop_without_output_says_so() -> None:
    report = spoken_turn(Hop(service="llm/llama", sent_time=timestamp(at(10))))
    assert plain(report)[2].endswith("no output")


def test_a_typed_turn_without_audio_is_drawn_from_its_end() -> None:
    report = TurnReport(turn_ended_time=timestamp(at(0)), hops=[hop("llm/llama", 0, (0, 0, 50), 100)])
    lines = plain(report)
    assert lines[0] == "turn 0: no audio"
    assert COMPUTE in lines[1]


def test_an_empty_report_is_one_line() -> None:
    assert plain(TurnReport(turn_index=2)) == ["turn 2: no time was reported"]


@pytest.mark.parametrize("width", [60, 100, 140])
def test_lines_fit_the_width(width: int) -> None:
    lines = plain(spoken_turn(hop("stt/m", 0, (10, 20, 40), 700), hop("tts/h", 100, (10, 20, 40), 7000)), width)
    allowed = max(width, 110)  # a bar is never narrower than 20 columns
    assert all(len(line) <= allowed for line in lines[:-1])  # the legend is as long as it is


def test_the_ways_there_and_back_are_drawn_as_long_as_they_are() -> None:
    made = hop("stt/moonshine", 0, (400, 0, 400), 800)
    made.network_there_duration.CopyFrom(duration(0.1))
    made.network_back_duration.CopyFrom(duration(0.3))
    line = plain(spoken_turn(made))[2]
    there, back = (len(part) for part in bar(line, "@titan").split("(")[0].split(COMPUTE) if NETWORK in part)
    assert back > 2 * there
    assert "network 100+300" in line


def test_waiting_for_input_is_drawn_and_told() -> None:
    made = hop("tts/hibari", 0, (100, 100, 200), 600)
    made.input_duration.CopyFrom(duration(0.2))
    cells = bar(plain(spoken_turn(made))[2], "@titan")
    assert cells.index(NETWORK) < cells.index(INPUT) < cells.index(QUEUE) < cells.index(COMPUTE)
    assert "input 200" in cells


def test_the_bound_of_each_clock_is_told_and_the_widest_in_the_headline() -> None:
    close, far = hop("stt/moonshine", 0, (1, 2, 4), 700), hop("tts/hibari", 0, (80, 2, 4), 700)
    for made, bound_s in ((close, 0.0004), (far, 0.041)):
        made.clock_offset.CopyFrom(duration(3.0))
        made.clock_offset_error.CopyFrom(duration(bound_s))
    lines = plain(spoken_turn(close, far))
    assert lines[0].endswith("97% explained, clocks within ±41 ms")
    assert lines[2].endswith("±0.4 ms")
    assert lines[3].endswith("±41 ms")


def test_the_wait_ends_where_the_turn_could_have_ended() -> None:
    report = spoken_turn()
    report.turn_endable_time.CopyFrom(timestamp(at(250)))
    assert plain(report)[1].endswith("250 ms")


def test_a_hop_that_was_interrupted_says_so() -> None:
    made = Hop(service="llm/llama", sent_time=timestamp(at(10)), first_output_time=timestamp(at(60)))
    assert plain(spoken_turn(made))[2].endswith("50 ms (not finished)")
