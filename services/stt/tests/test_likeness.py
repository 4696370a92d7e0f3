"""The words of a text are counted wherever a transcript has them in order, however often it repeats itself."""

from __future__ import annotations

import pytest

from voxmesh_testing.speech import likeness

pytestmark = pytest.mark.unit

SAID = "he was not an ill disposed young man"


@pytest.mark.parametrize(
    ("transcript", "share"),
    [
        ("He was not an ill-disposed young man.", 1.0),
        ("He was not an ill-sposed young man.", 7 / 8),
        ("Well, he was not an ill disposed, um, young man!", 1.0),
        ("man young disposed ill an not was he", 1 / 8),
        ("You", 0.0),
        ("", 0.0),
    ],
)
def test_each_word_in_its_place_counts(transcript: str, share: float) -> None:
    assert likeness(transcript, SAID) == share


@pytest.mark.parametrize("wrong", [(0, 2, 3, 4, 6, 7), tuple(range(12)), (11,)])
def test_one_wrong_word_costs_one_word_in_a_text_said_twelve_times(wrong: tuple[int, ...]) -> None:
    heard = ["He was not an ill-sposed young man." if turn in wrong else f"{SAID}." for turn in range(12)]
    assert likeness(" ".join(heard), " ".join([SAID] * 12)) == 1 - len(wrong) / 96
