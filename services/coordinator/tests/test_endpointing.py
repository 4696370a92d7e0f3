"""When a turn is over, by probability and silence."""

import pytest
from google.protobuf.duration_pb2 import Duration

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.session.adapters import policy
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

SETTINGS = CoordinatorSettings(min_end_of_turn_wait_s=0.2, max_end_of_turn_wait_s=1.5)
WORDS = "Remind me to call Tom."


def endpointing(**waits: Duration) -> Endpointing:
    config = conversation_pb2.ConversationConfig()
    for name, wait in waits.items():
        getattr(config, name).CopyFrom(wait)
    return policy.endpointing(config, SETTINGS)


@pytest.mark.parametrize(("probability", "wait_s"), [(0.9, 0.2), (0.7, 0.9), (0.5, 0.9), (0.1, 1.5), (None, 1.5)])
def test_a_turn_that_sounds_complete_ends_sooner(probability: float | None, wait_s: float) -> None:
    assert endpointing().wait_s(probability, WORDS) == wait_s


def test_a_short_answer_that_may_be_whole_is_taken_for_whole() -> None:
    assert endpointing().wait_s(0.5, "Yeah.") == 0.2
    assert endpointing().wait_s(0.1, "The") == 1.5


def test_the_session_may_choose_its_waits() -> None:
    chosen = endpointing(min_end_of_turn_wait=Duration(seconds=1), max_end_of_turn_wait=Duration(seconds=3))
    assert (chosen.wait_s(0.9, WORDS), chosen.wait_s(0.1, WORDS)) == (1.0, 3.0)


def test_the_wait_grows_for_somebody_who_goes_on_after_complete_sentences_and_falls_again() -> None:
    learning = endpointing()
    learning = learning.resumed(0.9, 0.6)
    assert learning.wait_s(0.9, WORDS) == pytest.approx(0.7)
    assert learning.wait_s(0.7, WORDS) == 0.9
    for _ in range(7):
        learning = learning.ended(0.9)
        assert learning.wait_s(0.9, WORDS) == pytest.approx(0.7)
    learning = learning.ended(0.9)
    assert learning.wait_s(0.9, WORDS) == 0.2


def test_the_wait_in_unfinished_sentences_falls_for_a_brisk_speaker_but_a_pause_of_0_8_s_is_never_cut() -> None:
    learning = endpointing()
    for _ in range(3):
        learning = learning.resumed(0.1, 0.3)
        assert learning.wait_s(0.1, WORDS) == 1.5
    learning = learning.resumed(0.1, 0.3)
    assert 0.8 < learning.wait_s(0.1, WORDS) < 1.5


def test_what_is_learned_stays_between_the_bounds() -> None:
    learning = endpointing()
    for _ in range(10):
        learning = learning.resumed(0.9, 60.0)
        learning = learning.resumed(0.1, 60.0)
    assert learning.wait_s(0.9, WORDS) <= 1.5
    assert learning.wait_s(0.1, WORDS) <= 1.5


def test_a_final_transcript_is_asked_for_when_the_wait_is_over_or_in_a_long_one_before() -> None:
    assert endpointing().prepare_s(0.9, WORDS) == endpointing().wait_s(0.9, WORDS) == 0.2
    assert 0.2 < endpointing().prepare_s(0.1, WORDS) < 1.5


@pytest.mark.parametrize("seconds", [-1, 11])
def test_a_wait_outside_its_limits_is_refused_by_name(seconds: int) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.max_end_of_turn_wait: must be from 0 to 10 s"):
        endpointing(max_end_of_turn_wait=Duration(seconds=seconds))


def test_waits_that_contradict_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="longer than max_end_of_turn_wait"):
        endpointing(min_end_of_turn_wait=Duration(seconds=2))


@pytest.mark.parametrize(
    "text",
    [
        "I would like to know whether the",
        "I want to, um",
        "So what about",
        "With my sister,",
        "Or the.",
        "Wait.",
        "Tell me, 'erm'.",
    ],
)
def test_nobody_stops_at_such_a_word(text: str) -> None:
    assert endpointing().adjusted_probability(0.99, text) == 0.0
    assert not endpointing().sounds_complete(text)


@pytest.mark.parametrize("text", ["", "Yeah.", "What is the capital of France?", "Go on.", "That is all I think of."])
def test_any_other_ending_is_left_to_the_model(text: str) -> None:
    assert endpointing().adjusted_probability(0.99, text) == 0.99
    assert endpointing().adjusted_probability(None, text) is None


def test_whole_sentences_are_worth_a_reply_before_the_pause_is_judged() -> None:
    assert endpointing().sounds_complete("Hello. What is the capital of France?")
    assert not endpointing().sounds_complete("What is the capital of")
    assert not endpointing().sounds_complete("")


@pytest.mark.parametrize(
    ("probability", "words", "is_doubtful", "is_worth_a_try"),
    [
        (None, "How are you?", False, True),
        (0.9, "How are you?", False, True),
        (0.1, "How are you?", True, False),
        (None, "How nice", False, False),
        (0.9, "How nice", False, False),
    ],
)
def test_whole_sentences_are_worth_a_try_until_they_are_doubted(
    probability: float | None, words: str, *, is_doubtful: bool, is_worth_a_try: bool
) -> None:
    decision = endpointing().decide(probability, words)
    assert (decision.is_doubtful, decision.is_worth_a_try) == (is_doubtful, is_worth_a_try)


def test_before_a_pause_is_judged_it_takes_the_longest_wait_and_no_reply_is_worth_its_cost() -> None:
    decision = endpointing().decide(None, WORDS)
    assert (decision.over_s, decision.reply_s, decision.is_judged) == (1.5, None, False)
