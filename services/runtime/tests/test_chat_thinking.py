"""Thoughts that are written inline, cut into pieces at every place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from voxmesh_runtime.chat.thinking import ThinkingHabits, ThinkingSplitter

pytestmark = pytest.mark.unit


def split(pieces: list[str]) -> tuple[str, str]:
    """Thoughts and answer of a text that comes in pieces."""
    splitter = ThinkingSplitter()
    found = [piece for text in pieces for piece in splitter.feed(text)] + splitter.flush()
    thoughts = "".join(piece.text for piece in found if piece.is_thought)
    return thoughts, "".join(piece.text for piece in found if not piece.is_thought)


@pytest.mark.parametrize("size", range(1, 12))
def test_thoughts_are_separated_wherever_the_text_is_cut(size: int) -> None:
    whole = "\n<think>Is 1 < 2? </thin king.</think>\n\nYes, 1 < 2."
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert split(pieces) == ("Is 1 < 2? </thin king.", "Yes, 1 < 2.")


def test_an_answer_without_thoughts_is_left_as_it_is() -> None:
    assert split(["  Tags such as ", "<think> are ", "for models</think>."]) == (
        "",
        "  Tags such as <think> are for models</think>.",
    )


def test_only_what_may_be_a_tag_is_held_back() -> None:
    splitter = ThinkingSplitter()
    assert [piece.text for piece in splitter.feed("Hello")] == ["Hello"]
    assert [piece.text for piece in splitter.feed(" <th")] == [" <th"]


def test_thoughts_without_an_end_stay_thoughts() -> None:
    assert split(["<think>Well", " </thi"]) == ("Well </thi", "")


def test_an_answer_that_is_the_beginning_of_a_tag_is_given_at_the_end() -> None:
    assert split(["<thi"]) == ("", "<thi")


THOUGHTS_WITHOUT_OPENING = ("Hm, is ", "it? Yes.</th", "ink>", "\n\nIt is."), ("Hm, is it? Yes.", "It is.")


def split_by(splitter: ThinkingSplitter, pieces: Sequence[str], *, is_cut: bool = False) -> tuple[str, str]:
    found = [piece for text in pieces for piece in splitter.feed(text)] + splitter.flush(is_cut=is_cut)
    thoughts = "".join(piece.text for piece in found if piece.is_thought)
    return thoughts, "".join(piece.text for piece in found if not piece.is_thought)


@pytest.mark.parametrize("size", range(1, 12))
def test_l11_what_stands_before_a_closing_tag_alone_is_thought(size: int) -> None:
    whole = "".join(THOUGHTS_WITHOUT_OPENING[0])
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert split_by(ThinkingSplitter(begins_with_thoughts=True), pieces) == THOUGHTS_WITHOUT_OPENING[1]


@pytest.mark.parametrize(
    ("pieces", "is_cut", "expected"),
    [
        (["It is."], False, ("", "It is.")),
        (["Hm, is it? "], True, ("Hm, is it? ", "")),
        (["<think>Hm.</think>", "It is."], False, ("Hm.", "It is.")),
    ],
    ids=["L11 it did not think", "L11 cut while it thought", "L11 it opens them as well"],
)
def test_l11_held_text_is_what_the_end_shows(pieces: list[str], expected: tuple[str, str], *, is_cut: bool) -> None:
    assert split_by(ThinkingSplitter(begins_with_thoughts=True), pieces, is_cut=is_cut) == expected


def test_l11_a_model_that_closes_what_it_never_opened_is_known_from_then_on() -> None:
    habits = ThinkingHabits(always=None)
    first = ThinkingSplitter(begins_with_thoughts=habits.begins_with_thoughts("r1"))
    assert split_by(first, THOUGHTS_WITHOUT_OPENING[0]) == ("", "Hm, is it? Yes.It is.")
    habits.learn("r1", first)
    assert habits.begins_with_thoughts("r1")
    assert not habits.begins_with_thoughts("smol")
    second = ThinkingSplitter(begins_with_thoughts=habits.begins_with_thoughts("r1"))
    assert split_by(second, THOUGHTS_WITHOUT_OPENING[0]) == THOUGHTS_WITHOUT_OPENING[1]
    habits.learn("r1", second)
    third = ThinkingSplitter(begins_with_thoughts=habits.begins_with_thoughts("r1"))
    assert split_by(third, ["It is."]) == ("", "It is.")
    habits.learn("r1", third)
    assert not habits.begins_with_thoughts("r1")


@pytest.mark.parametrize("always", [True, False])
def test_l11_what_the_operator_says_is_not_unlearned(*, always: bool) -> None:
    habits = ThinkingHabits(always=always)
    habits.learn("m", _after(["Hm.</think>\nYes."], begins=not always))
    habits.learn("m", _after(["Yes."], begins=always))
    assert habits.begins_with_thoughts("m") is always


@pytest.mark.parametrize(
    "text",
    ["Write </think> where they end.", "Tags such as <think> and\n</think>\nare for models.", "a < b </thin k>"],
)
def test_l11_an_answer_about_the_tags_is_left_as_it_is_and_teaches_nothing(text: str) -> None:
    splitter = ThinkingSplitter()
    assert split_by(splitter, list(text)) == ("", text)
    assert not splitter.saw_closing_tag_alone


def test_l11_a_server_that_tells_thoughts_apart_holds_nothing_back() -> None:
    splitter = ThinkingSplitter(begins_with_thoughts=True)
    splitter.no_thoughts()
    assert [piece.text for piece in splitter.feed("It is.")] == ["It is."]


def _after(pieces: list[str], *, begins: bool) -> ThinkingSplitter:
    splitter = ThinkingSplitter(begins_with_thoughts=begins)
    split_by(splitter, pieces)
    return splitter
