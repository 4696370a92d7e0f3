"""Mark-up is taken out of what is spoken, and nothing else is."""

from __future__ import annotations

import pytest

from voxmesh_tts.speakable import leading_closers, speakable

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**bold** and *thin* and __both__ and _one_", "bold and thin and both and one"),
        ("`code` and ~~gone~~", "code and gone"),
        ("## A heading", "A heading"),
        ("- a point", "a point"),
        ("> - quoted", "quoted"),
        ("[the docs](https://a.b/c_d) and ![a cat](cat.png)", "the docs and a cat"),
        ("more of it](https://a.b) here", "more of it here"),
        ("https://example.com/x", "example.com/x"),
        ("fine 👍🏽 then 👨‍👩‍👧 🇮🇳 ❤️", "fine then"),
        ("line<br/>break", "line break"),
        ("a | b", "a b"),
        ("| a | b |", "a, b"),
        ("|---|:-:|\n| 1 | 2 |", "1, 2"),
        ("- [x] done", "done"),
        ('[it](https://a.b/c_(d) "title") is', "it is"),
        (".” Then", "Then"),
    ],
)
def test_decoration_is_not_spoken(written: str, said: str) -> None:
    assert speakable(written) == said


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 and 2*3 and 2**3",
        "snake_case stays",
        "C# and #5",
        "a < b and b > a",
        "-5 degrees",
        ".5 percent",
        "20°C, 5 %, ™ and ©",
        "ನಮಸ್ಕಾರ",
        "क्‍ष",
        "don't",
        "it costs $5",
    ],
)
def test_what_has_a_meaning_stays(text: str) -> None:
    assert speakable(text) == text


def test_what_ended_the_clause_before_is_counted() -> None:
    assert leading_closers('." Then') == 3
    assert leading_closers(" -5") == 1
    assert leading_closers("(so)") == 0
