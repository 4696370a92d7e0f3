"""Thoughts that are written inline, cut into pieces at every place."""

from __future__ import annotations

import pytest

from voxmesh_llm_proxy.thinking import ThinkingSplitter

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
