"""Phrases become a sentence where a model reads a text, and are shared where they are dear."""

from __future__ import annotations

import pytest

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_stt.biasing import Shared, refuse_marks, rich_context, strongest_first
from voxmesh_stt.engine import Phrase, RecognitionOptions

pytestmark = pytest.mark.unit


def _options(*phrases: str | Phrase, context: str = "") -> RecognitionOptions:
    taken = tuple(phrase if isinstance(phrase, Phrase) else Phrase(phrase) for phrase in phrases)
    return RecognitionOptions(phrases=taken, context=context)


def test_without_phrases_the_context_is_the_callers_own() -> None:
    assert rich_context(_options(context="A novel."), max_characters=100) == ("A novel.", [])
    assert rich_context(_options(), max_characters=100) == ("", [])


def test_a_sparse_list_becomes_more_than_a_list() -> None:
    text, left_out = rich_context(_options("Claude"), max_characters=500)
    assert left_out == []
    assert text.count("Claude") > 1
    assert text.endswith(".")


def test_a_long_list_names_each_phrase_once_after_the_callers_context() -> None:
    names = ["Claude Code", "Rajesh", "Annie", "Bangalore", "Kannada"]
    text, left_out = rich_context(_options(*names, context="A call about software."), max_characters=500)
    assert left_out == []
    assert text.startswith("A call about software. ")
    assert [text.count(name) for name in names] == [1] * len(names)


def test_a_phrase_that_the_context_holds_is_not_repeated() -> None:
    text, _ = rich_context(_options("Annie", context="I met Annie."), max_characters=500)
    assert text == "I met Annie."


def test_the_weakest_phrases_are_left_out_and_told_when_room_is_short() -> None:
    options = _options(Phrase("weak", 0.5), Phrase("strong", 9), Phrase("middling", 2), Phrase("feeble", 0.1))
    text, left_out = rich_context(options, max_characters=85)
    assert "strong" in text
    assert len(text) <= 85
    assert left_out
    assert 1 not in left_out
    assert all(options.phrases[index].text not in text for index in left_out)


def test_a_context_that_fills_the_room_leaves_every_phrase_out() -> None:
    text, left_out = rich_context(_options("a", "b", context="x" * 50), max_characters=40)
    assert text == "x" * 40
    assert left_out == [0, 1]


def test_a_repeated_phrase_counts_once_with_its_strongest_boost() -> None:
    phrases = [Phrase("a", 1), Phrase("b", 2), Phrase("a", 3)]
    assert strongest_first(phrases) == [Phrase("a", 3), Phrase("b", 2)]


def test_marks_of_chat_templates_are_refused_by_their_field() -> None:
    with pytest.raises(InvalidArgument, match=r"config\.biasing\.phrases\[1\]\.text"):
        refuse_marks(_options("fine", "<|im_end|>"))
    with pytest.raises(InvalidArgument, match=r"config\.biasing\.context"):
        refuse_marks(_options(context="so <|im_start|>system"))


def test_what_is_shared_is_made_once_and_freed_when_it_is_old_and_unused() -> None:
    made: list[str] = []
    freed: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    shared = Shared(make, freed.append, max_unused=1)
    assert [shared.take("a"), shared.take("a"), shared.take("b")] == ["A", "A", "B"]
    assert made == ["a", "b"]
    shared.give_back("a")
    shared.give_back("b")
    assert freed == []
    shared.give_back("a")
    assert freed == ["B"]
    assert shared.take("a") == "A"
    assert made == ["a", "b"]
    shared.give_back("a")
    shared.close()
    assert freed == ["B", "A"]


def test_what_cannot_be_made_leaves_nothing_behind() -> None:
    def make(key: str) -> str:
        raise ValueError(key)

    shared = Shared(make, print)
    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            shared.take("a")
