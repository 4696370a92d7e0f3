"""Text becomes clauses as it is written, and the same ones in whatever pieces it comes."""

from __future__ import annotations

import pytest

from voxmesh_tts.clauses import Clause, ClauseCutter
from voxmesh_tts.engine import ClauseLimits

pytestmark = pytest.mark.unit

LIMITS = ClauseLimits(first_minimum=12, first_maximum=80, minimum=40, maximum=200)
PROSE = (
    "Pi is 3.14, and e is 2.71. Dr. Smith, e.g. of Acme Inc. in the U.S., met J. K. Rowling at 10:30! "
    "Visit https://www.example.com/a.b?c=d!e, or www.foo.org/x.html. OK?! It cost $1,234.56 in 1999. "
    "**Bold text.** And `code`, [the docs](https://a.b/c), 2 * 3 🙂.\n## Heading\n- item one\n1. First\n"
    'Wait… what — really; yes: "so." It goes on and on and on and on and on and on and on and on ' * 3
)


def cut(text: str, size: int | None = None) -> list[Clause]:
    cutter = ClauseCutter(LIMITS)
    size = size or max(1, len(text))
    clauses = [clause for start in range(0, len(text), size) for clause in cutter.feed(text[start : start + size])]
    return [*clauses, *cutter.flush()]


def spoken(text: str) -> list[str]:
    return [clause.text for clause in cut(text)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64])
def test_the_size_of_the_pieces_changes_nothing(size: int) -> None:
    assert cut(PROSE, size) == cut(PROSE)


@pytest.mark.parametrize("stop", [".", "!", "?", "…", "。", "।"])
def test_a_stop_after_a_word_ends_the_clause_without_waiting_for_more(stop: str) -> None:
    assert [clause.text for clause in ClauseCutter(LIMITS).feed(f"It is so{stop}")] == [f"It is so{stop}"]


def test_a_stop_after_a_digit_waits_for_the_next_character() -> None:
    cutter = ClauseCutter(LIMITS)
    assert cutter.feed("It is 3.") == []
    assert cutter.feed("14") == []
    assert [clause.text for clause in cutter.flush()] == ["It is 3.14"]
    assert spoken("It was 1999. Then it was not.") == ["It was 1999.", "Then it was not."]


@pytest.mark.parametrize(
    "whole",
    [
        "Dr. Smith is here",
        "fruit, e.g. apples",
        "J. K. Rowling wrote it",
        "at 5 p.m. sharp",
        "apples, pears etc. and more",
        "it is 3.14 or 1,000 at 10:30",
        "see https://www.example.com/a.b?c=d!e;f for it",
        "see example.com for it",
        "write to joe.bloggs@example.com please",
        "1. First",
        "I use .NET and Node.js here",
    ],
)
def test_numbers_abbreviations_and_addresses_stay_whole(whole: str) -> None:
    assert len(spoken(whole)) == 1


@pytest.mark.parametrize("text", ["The answer is no. Yes.", "So do I. You too.", "In the sun. Here."])
def test_ordinary_words_are_no_abbreviations(text: str) -> None:
    assert len(spoken(text)) == 2


def test_the_first_clause_may_be_short_and_the_others_are_longer() -> None:
    text = "Sure, I can do that, and then, if you want, we will see, what happens next, and so on, and on."
    assert spoken(text) == [
        "Sure, I can do that,",
        "and then, if you want, we will see, what happens next,",
        "and so on, and on.",
    ]


def test_text_without_punctuation_is_cut_at_spaces() -> None:
    clauses = spoken("word " * 100)
    assert [len(clause) for clause in clauses] == [79, 199, 199, 19]


def test_text_without_punctuation_is_cut_where_a_speaker_may_take_breath() -> None:
    text = "so I went to the market with my sister in the morning and we bought some fruit there which was cheap " * 2
    first, *_ = spoken(text)
    assert first == "so I went to the market with my sister in the morning"
    assert all(clause.startswith(("so", "and", "which")) for clause in spoken(text))


def test_text_without_spaces_is_cut_between_characters_and_marks_stay_with_their_letter() -> None:
    clauses = spoken("\u0915\u0941" * 300)
    assert "".join(clauses) == "\u0915\u0941" * 300
    assert all(clause.startswith("\u0915") for clause in clauses)
    assert max(map(len, clauses)) <= LIMITS.maximum


def test_line_breaks_end_clauses_and_marks_of_lists_are_not_spoken() -> None:
    assert spoken("# Title\n\n- one\n* two\r\n> three\n") == ["Title", "one", "two", "three"]


@pytest.mark.parametrize(
    "text",
    [
        "word " * 14 + "cost 1 000 000 rupees and so on and on and on",
        "word " * 14 + "came March 5 of it and so on and on and on",
        "word " * 14 + "said Dr. Lee of it and so on and on and on",
    ],
)
def test_a_long_text_is_not_cut_within_a_number_or_after_an_abbreviation(text: str) -> None:
    first, second = spoken(text)
    assert f"{first} {second}" == text
    assert not first.endswith((".", "March", "0", "1", "5"))


def test_a_year_stays_with_its_day() -> None:
    assert spoken("On some day, that is on March 5, 2026, and on July 4th, 1999, we met.")[0] == "On some day,"
    assert spoken("So we met on March 5, 2026.") == ["So we met on March 5, 2026."]


def test_no_before_a_digit_is_a_number() -> None:
    assert spoken("It is No. 5 now.") == ["It is No. 5 now."]
    assert spoken("He said No. Then he left.") == ["He said No.", "Then he left."]
    assert [clause.text for clause in ClauseCutter(LIMITS).feed("No.")] == ["No."]


@pytest.mark.parametrize("text", ["ನಾನು ಇಲ್ಲಿ ಇದ್ದೇನೆ.", "मैं यहाँ हूँ."])
def test_a_word_that_ends_in_a_vowel_sign_ends_its_sentence_at_once(text: str) -> None:
    assert [clause.text for clause in ClauseCutter(LIMITS).feed(text)] == [text]


def test_code_between_fences_is_not_spoken() -> None:
    text = "Do this:\n```sh\nmake all. Now!\n```\nDone."
    assert spoken(text) == ["Do this:", "Done."]
    assert [text[clause.start : clause.end] for clause in cut(text, 1)] == ["Do this:", "Done."]


def test_places_are_those_of_the_text_as_sent() -> None:
    text = "  **Hello there.** 🙂 How are [you](http://a.b) today?\n"
    clauses = cut(text)
    assert [text[clause.start : clause.end] for clause in clauses] == [
        "Hello there.",
        "🙂 How are [you](http://a.b) today?",
    ]
    assert [clause.text for clause in clauses] == ["Hello there.", "How are you today?"]


def test_text_that_goes_on_is_cut_where_it_would_have_been_cut_in_one_go() -> None:
    whole = cut(PROSE)
    for number, clause in enumerate(whole[1:], 1):
        cutter = ClauseCutter(LIMITS, continues=True)
        rest = [*cutter.feed(PROSE[clause.start :]), *cutter.flush()]
        assert [(each.text, each.start + clause.start) for each in rest] == [
            (each.text, each.start) for each in whole[number:]
        ]


@pytest.mark.parametrize("text", ["", " ", "...", "?!", "— -- —", "***", "\n\n\n", "🙂🙂", "```\n```"])
def test_nothing_comes_of_text_without_words(text: str) -> None:
    assert cut(text) == []


def test_a_long_text_without_words_is_not_kept() -> None:
    cutter = ClauseCutter(LIMITS)
    for _ in range(100):
        assert cutter.feed("." * 100) == []
    assert cutter.flush() == []
    assert len(cutter._text) == 0
