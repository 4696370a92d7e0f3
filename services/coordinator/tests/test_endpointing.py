"""When a turn is over, by probability and silence."""

import pytest
from google.protobuf.duration_pb2 import Duration

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_coordinator.turn.user_turn import Pause, UserTurn
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

SETTINGS = CoordinatorSettings(min_end_of_turn_wait_s=0.2, max_end_of_turn_wait_s=1.5)
WORDS = "Remind me to call Tom."


def endpointing(**waits: Duration) -> Endpointing:
    config = conversation_pb2.ConversationConfig()
    for name, wait in waits.items():
        getattr(config, name).CopyFrom(wait)
    return Endpointing.from_config(config, SETTINGS)


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
    learning.went_on(0.9, 0.6)
    assert learning.wait_s(0.9, WORDS) == pytest.approx(0.7)
    assert learning.wait_s(0.7, WORDS) == 0.9
    for _ in range(7):
        learning.ended(0.9)
        assert learning.wait_s(0.9, WORDS) == pytest.approx(0.7)
    learning.ended(0.9)
    assert learning.wait_s(0.9, WORDS) == 0.2


def test_the_wait_in_unfinished_sentences_falls_for_a_brisk_speaker_but_a_pause_of_0_8_s_is_never_cut() -> None:
    learning = endpointing()
    for _ in range(3):
        learning.went_on(0.1, 0.3)
        assert learning.wait_s(0.1, WORDS) == 1.5
    learning.went_on(0.1, 0.3)
    assert 0.8 < learning.wait_s(0.1, WORDS) < 1.5


def test_what_is_learned_stays_between_the_bounds() -> None:
    learning = endpointing()
    for _ in range(10):
        learning.went_on(0.9, 60.0)
        learning.went_on(0.1, 60.0)
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
    assert endpointing().believed(0.99, text) == 0.0
    assert not endpointing().sounds_complete(text)


@pytest.mark.parametrize("text", ["", "Yeah.", "What is the capital of France?", "Go on.", "That is all I think of."])
def test_any_other_ending_is_left_to_the_model(text: str) -> None:
    assert endpointing().believed(0.99, text) == 0.99
    assert endpointing().believed(None, text) is None


def test_whole_sentences_are_worth_a_reply_before_the_pause_is_judged() -> None:
    assert endpointing().sounds_complete("Hello. What is the capital of France?")
    assert not endpointing().sounds_complete("What is the capital of")
    assert not endpointing().sounds_complete("")


def paused(words: str, silence_s: float, probability: float | None, judged: str | None) -> tuple[Pause, UserTurn]:
    return Pause(0.0, silence_s, probability, judged), UserTurn(interim=words)


def test_a_judgement_on_other_words_counts_for_nothing() -> None:
    pause, turn = paused("I would like to know", 0.5, 0.9, "I would like")
    assert not endpointing().outlook(pause, turn).is_judged
    pause, turn = paused("I would like to know.", 0.5, 0.9, "I would like to know")
    assert endpointing().outlook(pause, turn).is_over
    pause, turn = paused("I would like to know", 0.5, 0.9, None)
    assert endpointing().outlook(pause, turn).is_over


def test_whole_sentences_are_worth_a_try_until_they_are_doubted() -> None:
    assert endpointing().outlook(*paused("How are you?", 0.1, None, None)).is_worth_a_try
    assert endpointing().outlook(*paused("How are you?", 0.1, 0.9, "How are you?")).is_worth_a_try
    doubted = endpointing().outlook(*paused("How are you?", 0.1, 0.1, "How are you?"))
    assert doubted.is_doubtful
    assert not doubted.is_worth_a_try
    assert not endpointing().outlook(*paused("How are", 0.1, None, None)).is_worth_a_try
