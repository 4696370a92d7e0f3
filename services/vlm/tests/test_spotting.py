"""Lines are read from what models write, in pieces cut anywhere, and from what comes near it."""

from __future__ import annotations

import pytest

from voxmesh_vlm.spotting import LineReader, spotting_prompt

pytestmark = pytest.mark.unit

TWO = '[{"bbox_2d": [100, 200, 300, 400], "text_content": "one }, {"}, {"bbox_2d": [9, 8, 7, 6], "text_content": "ನ"}]'
FIRST = ("one }, {", ((20.0, 20.0), (60.0, 20.0), (60.0, 40.0), (20.0, 40.0)))

ANSWERS = {
    "compact": (TWO.replace(": ", ":").replace("}, {", "},{"), ["one },{", "ನ"]),
    "with spaces": (TWO, ["one }, {", "ನ"]),
    "in a fence": (f"```json\n{TWO}\n```", ["one }, {", "ನ"]),
    "after prose": (f"Here it is:\n{TWO}", ["one }, {", "ನ"]),
    "none": ("[]", []),
    "in an object": (f'{{"lines": {TWO}}}', ["one }, {", "ನ"]),
    "by other names": ('[{"bbox": [1, 2, 3, 4], "text": " a "}, {"label": "b"}]', ["a", "b"]),
    "texts alone": ('["a", "b"]', ["a", "b"]),
    "without a text": ('[{"bbox_2d": [1, 2, 3, 4]}, {"text_content": 7}, {"text_content": " "}]', []),
    "plain lines": ("first line\n\n second \n", ["first line", "second"]),
    "plain lines in a fence": ("```\nfirst\n```", ["first"]),
    "cut": (TWO[:90], ["one }, {"]),
    "nothing": ("", []),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_lines_are_found_wherever_the_answer_is_cut(name: str) -> None:
    answer, expected = ANSWERS[name]
    for size in (1, 3, 1000):
        reader = LineReader(0, 200, 100)
        pieces = [answer[begin : begin + size] for begin in range(0, len(answer), size)]
        lines = [line for piece in pieces for line in reader.feed(piece)] + reader.end()
        assert [line.text for line in lines] == expected


def test_places_are_in_pixels_of_the_picture_and_in_order() -> None:
    lines = LineReader(3, 200, 100).feed(TWO)
    assert (lines[0].text, lines[0].corners) == FIRST
    assert lines[0].picture == 3
    assert lines[1].corners[0] == pytest.approx((1.4, 0.6))
    assert lines[1].corners[2] == pytest.approx((1.8, 0.8))


@pytest.mark.parametrize(
    ("box", "scale", "corner"),
    [
        ("[10, 10, 20, 20]", (200.0, 100.0), (10.0, 10.0)),
        ("[-5, 0, 5000, 20]", (1000.0, 1000.0), (0.0, 0.0)),
        ("[10, 10, 20]", (1000.0, 1000.0), None),
        ('[10, "x", 20, 20]', (1000.0, 1000.0), None),
        ("[10, 10, 20, 20]", None, None),
    ],
)
def test_a_place_that_is_none_is_left_out(
    box: str, scale: tuple[float, float] | None, corner: tuple[float, float] | None
) -> None:
    (line,) = LineReader(0, 200, 100, scale).feed(f'[{{"bbox_2d": {box}, "text_content": "a"}}]')
    assert (line.corners[0] if line.corners else None) == corner


def test_languages_are_told() -> None:
    assert spotting_prompt(("kn", "en")).endswith("The text is in: kn, en.")
    assert "The text" not in spotting_prompt()
