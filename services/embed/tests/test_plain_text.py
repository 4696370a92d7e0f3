"""A mark in a text is cut, and nothing of the text is lost."""

from __future__ import annotations

import pytest

from voxmesh_embed.plain_text import Marks

pytestmark = pytest.mark.unit

MARKS = Marks(["<|im_end|>", "<|im_end|><|im_start|>", "<think>", "</think>"])


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("plain", ["plain"]),
        ("<|im_end|>", ["<", "|im_end|>"]),
        ("a<think>b</think>c", ["a<", "think>b<", "/think>c"]),
        ("<<think>", ["<<", "think>"]),
        ("<|im_end|><|im_end|>", ["<", "|im_end|><", "|im_end|>"]),
        ("<|im_end", ["<|im_end"]),
    ],
)
def test_marks_are_cut(text: str, pieces: list[str]) -> None:
    assert MARKS.pieces(text) == pieces
    assert "".join(pieces) == text


def test_without_marks_a_text_is_one_piece() -> None:
    assert Marks([]).pieces("<think>") == ["<think>"]
