"""Interim texts agree on their beginning, and what they agreed on stays."""

from __future__ import annotations

import pytest

from voxmesh_stt.utterances.agreement import Agreement

pytestmark = pytest.mark.unit


def _shown(*texts: str) -> list[tuple[str, int]]:
    agreement = Agreement()
    return [agreement.update(text) for text in texts]


def test_a_first_text_promises_nothing() -> None:
    assert _shown("the quick") == [("the quick", 0)]


def test_what_two_texts_share_stays() -> None:
    assert _shown("the quick", "the quick brown", "the quick brown fox") == [
        ("the quick", 0),
        ("the quick brown", len("the quick")),
        ("the quick brown fox", len("the quick brown")),
    ]


def test_punctuation_and_capitals_do_not_hinder_and_the_first_reading_is_kept() -> None:
    shown = _shown("well then", "Well, then what", "WELL THEN WHAT now")
    assert shown[1:] == [("Well, then what", len("Well, then")), ("Well, then WHAT now", len("Well, then WHAT"))]


def test_a_later_text_cannot_take_back_what_was_agreed() -> None:
    *_, (text, stable) = _shown("a big dog", "a big dog ran", "the big hog ran home")
    assert text.startswith("a big dog")
    assert stable >= len("a big dog")
    assert text.endswith("ran home")


def test_words_that_appear_in_front_do_not_double_the_rest() -> None:
    *_, (text, _) = _shown("he was ill", "he was ill once", "then he was ill once more")
    assert text == "he was ill once more"


def test_a_text_that_comes_to_nothing_keeps_what_was_agreed() -> None:
    assert _shown("one two", "one two", "")[-1] == ("one two", len("one two"))


def test_a_stop_goes_when_the_speaker_goes_on() -> None:
    shown = _shown("the name", "the name.", "the name of the river", "the name of the river.")
    assert shown == [
        ("the name", 0),
        ("the name.", len("the name")),
        ("the name of the river", len("the name")),
        ("the name of the river.", len("the name of the river")),
    ]
    assert _shown("it is", "it is.", "it is. And so")[-1] == ("it is. And so", len("it is"))


def test_scripts_without_spaces_agree_by_the_character() -> None:
    assert _shown("今天天", "今天天气很好")[-1] == ("今天天气很好", 3)


@pytest.mark.parametrize("texts", [("a b c", "a x c", "q b c d", "a b", "z", "a b c d e")])
def test_no_promise_is_ever_broken(texts: tuple[str, ...]) -> None:
    promised = ""
    for text, stable in _shown(*texts):
        assert text.startswith(promised)
        assert stable >= len(promised)
        promised = text[:stable]


def test_words_that_differ_in_a_vowel_sign_do_not_agree() -> None:
    assert _shown("यह की", "यह का है")[-1] == ("यह का है", len("यह"))
