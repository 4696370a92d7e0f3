"""Fenced code is blank in what is spoken, however the text comes in."""

from __future__ import annotations

import re

import pytest

from voxmesh_tts.fences import CodeFences

pytestmark = pytest.mark.unit


def passed(text: str, size: int) -> str:
    fences = CodeFences()
    return "".join(fences.feed(text[at : at + size]) for at in range(0, len(text), size)) + fences.flush()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\n```python\nx = 1\n```\nb", "a\n\n\n\nb"),
        ("a\r\n~~~\r\nx\r\n~~~\r\nb", "a\r\n\r\n\r\n\r\nb"),
        ("```\nx\n~~~\ny\n```\nb", "\n\n\n\n\nb"),
        ("a\n```\nno end", "a\n\n"),
        ("a\n```", "a\n"),
        ("```pip install x``` is it", "```pip install x``` is it"),
        ("`x` and ``y``", "`x` and ``y``"),
        ("    ```\nx", "    ```\nx"),
        ("a ```b", "a ```b"),
        ("``", "``"),
    ],
)
def test_code_is_blank_and_everything_keeps_its_place(text: str, left: str, size: int) -> None:
    out = passed(text, size)
    assert len(out) == len(text)
    assert re.sub(r" +(?=\r?(?:\n|$))", "", out) == left


def test_only_a_line_that_may_be_a_fence_is_held_back() -> None:
    fences = CodeFences()
    assert fences.feed("so ") == "so "
    assert fences.feed("on\n`") == "on\n"
    assert fences.feed("x") == "`x"
