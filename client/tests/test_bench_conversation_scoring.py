"""The score of a conversation, from timelines written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.bench.conversations.attribution import heard_turns
from voxmesh_client.bench.conversations.figures import MEASURES, figures, ratio
from voxmesh_client.bench.conversations.runner import Condition, Play
from voxmesh_client.bench.conversations.scoring import Fault, Score, score, total
from voxmesh_client.bench.conversations.script import Expect, Scenario, Step
from voxmesh_client.bench.conversations.timeline import Received, Timeline, Utterance
from voxmesh_client.events import Event, SpeechStarted
from voxmesh_runtime.clock import duration, timestamp

pytestmark = pytest.mark.unit

COORDINATOR_NS = 1_700_000_000_000_000_000
"""Any moment of the coordinator's clock, which is not the client's."""
QUESTION = "What is the capital of France?"


def said(step: int, text: str, expect: Expect, onset_s: float, end_s: float, *, over: int | None = None) -> Utterance:
    return Utterance(step, f"sound{step}", text, expect, onset_s, end_s, over, needs_reply=over is not None)


def question(onset_s: float = 1.0, end_s: float = 2.0) -> Utterance:
    return said(1, QUESTION, Expect.ANSWER, onset_s, end_s)


def ended(index: int, text: str = QUESTION) -> Event:
    return conversation_pb2.TurnEnded(turn_index=index, text=text)


def audio(index: int, data: bytes = b"\1\0") -> Event:
    return conversation_pb2.ReplyAudio(turn_index=index, data=data)


def interrupted(index: int) -> Event:
    return conversation_pb2.Interrupted(turn_index=index)


def report(
    index: int, ended_ms: int, audio_ms: int, endable_ms: int | None = None, discarded: tuple[int, float] = (0, 0.0)
) -> Event:
    def at(ms: int) -> int:
        return COORDINATOR_NS + ms * 1_000_000

    told = conversation_pb2.TurnReport(turn_index=index, discarded_reply_count=discarded[0])
    told.discarded_compute_duration.CopyFrom(duration(discarded[1]))
    told.turn_ended_time.CopyFrom(timestamp(at(ended_ms)))
    told.first_audio_time.CopyFrom(timestamp(at(audio_ms)))
    if endable_ms is not None:
        told.turn_endable_time.CopyFrom(timestamp(at(endable_ms)))
    return told


def timeline(utterances: Sequence[Utterance], *events: tuple[float, Event], **fields: object) -> Timeline:
    made = Timeline(list(utterances), [Received(at_s, event) for at_s, event in events])
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def faults(found: Score) -> list[tuple[Fault, int]]:
    return [(slip.fault, slip.step) for slip in found.slips]


def test_waits_count_from_the_true_end_of_speech_and_the_report_says_what_the_wait_hid() -> None:
    found = score(
        timeline(
            [question()],
            (1.1, SpeechStarted(1.1)),
            (2.35, ended(0)),
            (2.4, audio(0, b"")),
            (2.5, audio(0)),
            (2.6, audio(0)),
            (2.7, report(0, ended_ms=340, audio_ms=480)),
        )
    )
    assert found.slips == []
    (answer,) = found.answers
    assert astuple(answer) == (1, pytest.approx(0.5), pytest.approx(0.35), pytest.approx(0.36), pytest.approx(0.14))
    assert (found.questions, found.turns, found.unlike) == (1, 1, 0)


def test_the_wait_ends_when_the_turn_could_have_ended_even_if_it_did_later() -> None:
    found = score(
        timeline(
            [question()], (2.8, ended(0)), (2.8, audio(0)), (3.0, report(0, ended_ms=790, audio_ms=791, endable_ms=291))
        )
    )
    assert found.answers[0].beyond_s == pytest.approx(0.5)
    assert found.answers[0].wait_s == pytest.approx(0.3)


def test_an_answer_without_a_report_has_no_wait() -> None:
    (answer,) = score(timeline([question()], (2.3, ended(0)), (2.5, audio(0)))).answers
    assert (answer.wait_s, answer.beyond_s) == (None, None)
    assert answer.first_audio_s == pytest.approx(0.5)


def test_a_turn_ended_in_a_pause_is_cut_off_and_the_rest_of_it_is_what_gets_answered() -> None:
    found = score(
        timeline(
            [said(1, "I would like to know the longest river in Africa.", Expect.ANSWER, 1.0, 4.0)],
            (2.5, ended(0, "I would like to know")),
            (2.6, audio(0)),
            (3.0, interrupted(0)),
            (4.3, ended(1, "the longest river in Africa.")),
            (4.5, audio(1)),
        )
    )
    assert faults(found) == [(Fault.CUT_OFF, 1)]
    assert [answer.first_audio_s for answer in found.answers] == [pytest.approx(0.5)]


def test_what_is_cut_off_and_never_taken_up_again_is_unanswered_too() -> None:
    found = score(timeline([question(1.0, 4.0)], (2.5, ended(0)), (2.6, audio(0))))
    assert faults(found) == [(Fault.CUT_OFF, 1), (Fault.UNANSWERED, 1)]


def test_a_turn_without_reply_audio_is_unanswered() -> None:
    assert faults(score(timeline([question()], (2.3, ended(0)), (2.4, audio(0, b""))))) == [(Fault.UNANSWERED, 1)]


def test_a_second_turn_of_what_was_said_once_is_an_extra_turn() -> None:
    found = score(
        timeline([question()], (2.3, ended(0)), (2.5, audio(0)), (4.0, ended(1, "Thank you.")), (4.2, audio(1)))
    )
    assert faults(found) == [(Fault.EXTRA_TURN, 1)]
    assert 'heard as "Thank you."' in found.slips[0].about


def test_a_real_interruption_has_times_from_its_onset() -> None:
    found = score(
        timeline(
            [question(), said(2, "Stop, what about Italy?", Expect.INTERRUPTION, 5.0, 6.5, over=0)],
            (2.3, ended(0)),
            (2.5, audio(0)),
            (5.1, conversation_pb2.Duck(gain=0.25)),
            (5.2, audio(0)),
            (5.6, interrupted(0)),
            (5.6, conversation_pb2.Duck(gain=1.0)),
            (6.9, ended(1, "Stop, what about Italy?")),
            (7.1, audio(1)),
            played_out_s={0: 5.6},
        )
    )
    assert found.slips == []
    (barge_in,) = found.barge_ins
    assert astuple(barge_in) == (2, *(pytest.approx(seconds) for seconds in (0.1, 0.6, 0.2, 0.1)))
    assert (found.interruptions, found.questions, len(found.answers)) == (1, 2, 2)


def test_no_audio_after_the_onset_counts_as_zero() -> None:
    found = score(
        timeline(
            [said(1, "Stop.", Expect.INTERRUPTION, 5.0, 5.5, over=0)],
            (2.5, audio(0)),
            (5.4, interrupted(0)),
            (6.0, ended(1, "Stop.")),
            (6.2, audio(1)),
        )
    )
    assert found.barge_ins[0].last_audio_s == 0
    assert found.barge_ins[0].duck_s == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("gains", "seconds"),
    [
        ([], 0.6),
        ([(4.9, 0.25)], 0.0),
        ([(5.1, 0.25), (5.3, 1.0)], 0.6),
        ([(5.1, 0.25), (5.3, 1.0), (5.5, 0.25)], 0.5),
    ],
    ids=["never lowered", "lowered before", "raised again", "lowered twice"],
)
def test_full_volume_lasts_until_the_reply_is_lowered_for_good(
    gains: list[tuple[float, float]], seconds: float
) -> None:
    ducks = [(at_s, conversation_pb2.Duck(gain=gain)) for at_s, gain in gains]
    stop = said(1, "Stop.", Expect.INTERRUPTION, 5.0, 5.5, over=0)
    raised = conversation_pb2.Duck(gain=1.0)
    found = score(timeline([stop], (2.5, audio(0)), *ducks, (5.6, interrupted(0)), (5.6, raised)))
    assert found.barge_ins[0].full_volume_s == pytest.approx(seconds)


@pytest.mark.parametrize("events", [[(6.6, interrupted(0))], []], ids=["late", "never"])
def test_a_reply_that_does_not_stop_in_time_missed_the_interruption(events: list[tuple[float, Event]]) -> None:
    spoken = said(1, "Stop.", Expect.INTERRUPTION, 5.0, 5.5, over=0)
    found = score(timeline([spoken], *events, (7.0, ended(1, "Stop.")), (7.2, audio(1)), played_out_s={0: 9.0}))
    assert faults(found) == [(Fault.MISSED_INTERRUPTION, 1)]


def test_an_interruption_of_a_reply_that_ends_by_itself_is_void() -> None:
    spoken = said(1, "Stop.", Expect.INTERRUPTION, 5.0, 5.5, over=0)
    found = score(timeline([spoken], played_out_s={0: 5.9}))
    assert (found.slips, found.void, found.interruptions, found.questions) == ([], 1, 0, 0)


def test_what_was_meant_for_a_reply_that_was_over_shows_nothing() -> None:
    late = Utterance(2, "mm_hm", "Mm-hmm.", Expect.NO_INTERRUPTION, 9.0, 9.4, None, needs_reply=True)
    found = score(
        timeline([question(), late], (2.3, ended(0)), (2.5, audio(0)), (9.9, ended(1, "Mm-hmm.")), unsaid=[3])
    )
    assert (found.slips, found.void, found.disturbances) == ([], 2, 0)


@pytest.mark.parametrize("text", ["Mm-hmm.", ""], ids=["murmur", "noise"])
def test_a_reply_stopped_by_a_murmur_or_noise_is_a_false_interruption(text: str) -> None:
    found = score(
        timeline(
            [question(), said(2, text, Expect.NO_INTERRUPTION, 5.0, 5.4, over=0)],
            (2.3, ended(0)),
            (2.5, audio(0)),
            (5.6, interrupted(0)),
        )
    )
    assert faults(found) == [(Fault.FALSE_INTERRUPTION, 2)]
    assert found.disturbances == 1


def test_ducking_for_a_murmur_is_no_fault() -> None:
    duck, restore = conversation_pb2.Duck(gain=0.2), conversation_pb2.Duck(gain=1.0)
    murmur = said(2, "Right.", Expect.NO_INTERRUPTION, 5.0, 5.4, over=0)
    found = score(timeline([question(), murmur], (2.3, ended(0)), (2.5, audio(0)), (5.1, duck), (5.6, restore)))
    assert found.slips == []


def test_a_cough_while_thinking_leaves_the_turn_to_the_question() -> None:
    cough = said(2, "", Expect.NO_TURN, 2.2, 2.9)
    found = score(timeline([question(), cough], (2.4, ended(0)), (3.5, audio(0))))
    assert found.slips == []
    assert found.answers[0].first_audio_s == pytest.approx(1.5)


def test_a_cough_that_becomes_a_turn_is_an_extra_turn() -> None:
    cough = said(2, "", Expect.NO_TURN, 2.2, 2.9)
    found = score(timeline([question(), cough], (2.4, ended(0)), (3.0, audio(0)), (3.3, ended(1, "You"))))
    assert faults(found) == [(Fault.EXTRA_TURN, 2)]


def test_a_quick_correction_may_be_heard_as_one_turn_with_the_question() -> None:
    spain = said(1, "What is the capital of Spain?", Expect.ANY, 1.0, 2.0)
    italy = said(2, "I mean, what is the capital of Italy?", Expect.ANSWER, 2.5, 4.0)
    both = "What is the capital of Spain? I mean, what is the capital of Italy?"
    found = score(timeline([spain, italy], (4.4, ended(0, both)), (4.6, audio(0))))
    assert found.slips == []
    assert [(answer.step, answer.first_audio_s) for answer in found.answers] == [(2, pytest.approx(0.6))]


def test_a_quick_correction_may_be_a_turn_of_its_own() -> None:
    spain = said(1, "What is the capital of Spain?", Expect.ANY, 1.0, 2.0)
    italy = said(2, "I mean, what is the capital of Italy?", Expect.ANSWER, 2.5, 4.0)
    first, second = ended(0, "What is the capital of Spain?"), ended(1, "I mean, what is the capital of Italy?")
    found = score(timeline([spain, italy], (2.3, first), (2.7, interrupted(0)), (4.4, second), (4.6, audio(1))))
    assert found.slips == []
    assert [turn.utterance for turn in heard_turns(timeline([spain, italy], (2.3, first), (4.4, second)))] == [
        spain,
        italy,
    ]


def test_a_turn_of_other_words_is_told_but_is_no_fault() -> None:
    found = score(timeline([question()], (2.3, ended(0, "Why bother with shoes?")), (2.5, audio(0))))
    assert (found.unlike, found.slips) == (1, [])


def test_a_turn_before_anybody_spoke_belongs_to_nobody() -> None:
    found = score(timeline([question(5.0, 6.0)], (2.0, ended(0, "Hello.")), (6.3, ended(1)), (6.5, audio(1))))
    assert faults(found) == [(Fault.EXTRA_TURN, 0)]


def test_a_failed_turn_is_a_failure_and_not_unanswered_as_well() -> None:
    failed = conversation_pb2.TurnFailed(turn_index=0, message="stt: gone")
    found = score(timeline([question()], (2.3, ended(0)), (2.4, failed)))
    assert [(slip.fault, slip.step, slip.about) for slip in found.slips] == [(Fault.FAILURE, 1, "stt: gone")]


def test_a_conversation_that_breaks_off_is_one_failure() -> None:
    found = score(timeline([question()], failure="coordinator: gone"))
    assert [(slip.fault, slip.about) for slip in found.slips] == [(Fault.FAILURE, "coordinator: gone")]


def test_work_thrown_away_is_summed_over_all_reports() -> None:
    found = score(
        timeline(
            [question()],
            (2.3, ended(0)),
            (2.5, audio(0)),
            (2.6, report(0, 1, 2, discarded=(2, 0.75))),
            (2.7, report(1, 1, 2, discarded=(1, 0.5))),
        )
    )
    assert (found.discarded_replies, found.discarded_s) == (3, pytest.approx(1.25))


def play(timelines: Timeline) -> Play:
    scenario = Scenario(name="made", about="Made.", steps=(Step(pause=1.0),))
    return Play(scenario, Condition(1, None), timelines, score(timelines))


def test_figures_are_percentiles_and_counts_over_all_plays() -> None:
    waits = (0.2, 0.4, 0.6)
    found = figures([play(timeline([question()], (2.1, ended(0)), (2 + wait, audio(0)))) for wait in waits])
    assert found["first_audio_p50_s"] == pytest.approx(0.4)
    assert found["first_audio_p95_s"] == pytest.approx(0.58)
    assert found["wait_p50_s"] is None
    assert (found["plays"], found["faulty_plays"], found["questions"], found["turns"]) == (3, 0, 3, 3)


def test_every_line_of_the_scoreboard_has_its_figure() -> None:
    found = figures([])
    assert {measure.figure for measure in MEASURES} | {measure.of for measure in MEASURES if measure.of} <= found.keys()


def test_ratios_need_something_to_divide_by() -> None:
    assert ratio(1.0, 2.0) == 0.5
    assert ratio(None, 2.0) is None
    assert ratio(1.0, None) is None
    assert ratio(1.0, 0.0) is None


def test_scores_add_up() -> None:
    one = score(timeline([question()], (2.3, ended(0)), (2.5, audio(0))))
    other = score(timeline([question()]))
    whole = total([one, other])
    assert (whole.questions, len(whole.answers), whole.count(Fault.UNANSWERED)) == (2, 1, 1)
    assert one.questions == 1
