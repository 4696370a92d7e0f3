"""A text that repeats itself faster than anybody speaks is kept once; people may repeat themselves."""

from __future__ import annotations

import pytest

from voxmesh_stt.engine import Word
from voxmesh_stt.utterances.decoding import Hypothesis
from voxmesh_stt.utterances.loops import without_loop

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "speech_s", "kept"),
    [
        pytest.param(
            "We sold " + "1,344 units, " * 20 + "1,34", 13, "We sold 1,344 units,", id="1,344 units, the last cut"
        ),
        pytest.param("- Well, how" + " far" * 100, 10, "- Well, how far", id="one word"),
        pytest.param("Stop what about it?" + " Lee," * 64, 10, "Stop what about it? Lee,", id="a short word"),
        pytest.param("The World of" + " the World of" * 50 + " the", 13, "The World of", id="of three words"),
        pytest.param("I'll be the day " * 33 + "I'll be", 16, "I'll be the day", id="nothing but a loop"),
        pytest.param("Hello? " * 3, 0.3, "Hello?", id="three times in no time"),
        pytest.param("\u4f60\u597d" * 60, 5, "\u4f60\u597d", id="without spaces"),
        pytest.param(
            "\u0ca8\u0cae\u0cb8\u0ccd\u0c95\u0cbe\u0cb0 " * 40,
            5,
            "\u0ca8\u0cae\u0cb8\u0ccd\u0c95\u0cbe\u0cb0",
            id="Kannada",
        ),
    ],
)
def test_a_loop_is_cut_back_to_its_first_round(text: str, speech_s: float, kept: str) -> None:
    assert without_loop(Hypothesis(text), speech_s).text == kept


@pytest.mark.parametrize(
    ("text", "speech_s"),
    [
        ("No, no, no.", 1.2),
        ("No, no, no, no, no, no, no, no.", 2.2),
        ("It is very, very, very, very, very", 2.2),
        ("Ha ha ha ha ha ha", 1.8),
        ("7 7 7 7", 1.5),
        ("My number is 555 1212 7777", 4.0),
        ("seven seven seven seven", 1.9),
        ("20, 20, 20, 20", 2.1),
        ("A, A, A, B, B, B.", 2.0),
        ("Let it be, let it be, let it be, let it be.", 3.1),
        ("again and again and again and again", 2.3),
        ("Row, row, row your boat, gently down the stream, merrily, merrily, merrily, merrily", 5.0),
        ("What is the capital of Spain? " * 4, 6.4),
        ("This is said fast and holds no round at all whatever the clock may say of it", 1.0),
        ("Twice, twice,", 0.1),
        ("The", 0.0),
        ("", 0.0),
    ],
)
def test_what_people_repeat_stays(text: str, speech_s: float) -> None:
    found = Hypothesis(text)
    assert without_loop(found, speech_s) is found


def test_the_words_are_cut_with_the_text() -> None:
    texts = ["so", *["far"] * 50]
    words = tuple(Word(text, index / 10, index / 10 + 0.1) for index, text in enumerate(texts))
    found = without_loop(Hypothesis(" ".join(texts), words, 0.9, "en"), 5.0)
    assert found == Hypothesis("so far", words[:2], 0.9, "en")
