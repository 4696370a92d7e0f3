"""Halves of characters are joined wherever they are cut, and a half alone is told as what it is: nothing."""

from __future__ import annotations

import pytest

from voxmesh_runtime.chat.surrogates import SurrogateJoiner, joined

pytestmark = pytest.mark.unit

TEXTS = {
    "L7 a pair": ("Hi \ud83d\ude00!", "Hi 😀!"),
    "L7 a first half alone": ("a\ud83db", "a\ufffdb"),
    "L7 a second half alone": ("a\ude00b", "a\ufffdb"),
    "L7 a half at the end": ("a\ud83d", "a\ufffd"),
    "L7 two first halves": ("\ud83d\ud83d\ude00", "\ufffd😀"),
    "whole characters": ("ನಮಸ್ಕಾರ 😀", "ನಮಸ್ಕಾರ 😀"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("case", TEXTS)
def test_halves_are_joined_wherever_the_text_is_cut(case: str) -> None:
    text, expected = TEXTS[case]
    assert joined(text) == expected
    for cut in range(len(text) + 1):
        joiner = SurrogateJoiner()
        assert joiner.feed(text[:cut]) + joiner.feed(text[cut:]) + joiner.flush() == expected


def test_only_half_a_character_is_held_back() -> None:
    joiner = SurrogateJoiner()
    assert joiner.feed("Hi \ud83d") == "Hi "
    assert joiner.feed("\ude00") == "😀"
