"""Words that an engine speaks come back as they are written."""

from __future__ import annotations

import pytest

from voxmesh_tts.clauses import Clause
from voxmesh_tts.engine import SpokenWord
from voxmesh_tts.reading import Reader
from voxmesh_tts.written import WrittenWords

pytestmark = pytest.mark.unit


def placed(written: str, *, without: str = "") -> list[tuple[str, float, float]]:
    """The words of a clause whose spoken words last a second each; the engine leaves `without` out."""
    spoken = Reader("en-US").read(written)
    words = WrittenWords(Clause(spoken, 0, len(written), written))
    times = [SpokenWord(word, float(at), at + 1.0) for at, word in enumerate(spoken.split()) if word != without]
    found = [word for time in times for word in words.of(time)] + words.rest()
    return [(word.text.strip(",."), word.start_s, word.end_s) for word in found]


def test_words_that_are_spoken_as_they_are_written_stay() -> None:
    assert placed("It is so.") == [("It", 0, 1), ("is", 1, 2), ("so", 2, 3)]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("It is $48.50 now", [("It", 0, 1), ("is", 1, 2), ("$48.50", 2, 7), ("now", 7, 8)]),
        ("I don\u2019t", [("I", 0, 1), ("don\u2019t", 1, 2)]),
        ("$48.50", [("$48.50", 0, 5)]),
        ("**At** 3:30, go", [("At", 0, 1), ("3:30", 1, 3), ("go", 3, 4)]),
        ("See https://a.com/b there", [("See", 0, 1), ("https://a.com/b", 1, 6), ("there", 6, 7)]),
    ],
)
def test_what_is_spoken_for_one_word_is_that_word(written: str, words: list[tuple[str, float, float]]) -> None:
    assert placed(written) == words


def test_a_word_is_told_as_soon_as_all_of_it_is_spoken() -> None:
    words = WrittenWords(Clause("four dollars now", 0, 6, "$4 now"))
    assert words.of(SpokenWord("four", 0, 1)) == []
    assert words.of(SpokenWord("dollars", 1, 2)) == [SpokenWord("$4", 0, 2)]
    assert words.of(SpokenWord("now", 2, 3)) == [SpokenWord("now", 2, 3)]


def test_a_word_that_the_engine_leaves_out_moves_nothing() -> None:
    assert placed("It is $4 now", without="dollars") == [("It", 0, 1), ("is", 1, 2), ("$4", 2, 3), ("now", 4, 5)]


def test_words_that_the_engine_makes_up_are_told_too() -> None:
    words = WrittenWords(Clause("so", 0, 2, "so"))
    assert words.of(SpokenWord("so", 0, 1)) == [SpokenWord("so", 0, 1)]
    assert words.of(SpokenWord("what", 1, 2))[0].text in ("what", "so")
