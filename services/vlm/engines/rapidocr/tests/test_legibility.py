"""What the recogniser makes of scripts that it does not know is told from what it reads."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh_vlm.engine import Picture
from voxmesh_vlm_rapidocr.legibility import inked_length, is_legible

pytestmark = pytest.mark.engine


def line(ink: float, length: int = 10, height: int = 20) -> Picture:
    """A white line with black stripes over so much of it."""
    picture = np.full((height, length * height, 3), 255, np.uint8)
    picture[4:16, : round(ink * length * height)] = 0
    return picture


@pytest.mark.parametrize("ink", [0.0, 0.25, 0.4])
def test_ink_is_measured_in_heights_without_gaps(ink: float) -> None:
    assert inked_length(line(ink)) == pytest.approx(10 * ink, abs=0.1)


@pytest.mark.parametrize(
    ("text", "confidence", "legible"),
    [
        pytest.param("Total amount", 0.98, True, id="english"),
        pytest.param("\u603b\u91d1\u989d\u56db", 0.98, True, id="chinese"),
        pytest.param("\u304a\u65e9\u3081\u306b", 0.98, True, id="japanese"),
        pytest.param("12/05/2026", 0.98, True, id="figures"),
        pytest.param("3p 3", 0.6, False, id="doubt"),
        pytest.param(".", 0.96, False, id="a-full-stop-for-a-line"),
        pytest.param("", 0.0, False, id="nothing"),
        pytest.param("\u03c3\u03c5\u03bd\u03bf\u03bb\u03b9\u03ba", 0.9, False, id="greek-without-accents"),
    ],
)
def test_a_line_is_legible_when_it_has_letters_for_its_ink(text: str, confidence: float, legible: bool) -> None:  # noqa: FBT001 # a table's column
    assert is_legible(line(0.4), text, confidence) is legible
