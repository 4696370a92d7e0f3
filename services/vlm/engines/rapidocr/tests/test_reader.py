"""What is RapidOCR's own: sizes, directions and order of lines, and that it never asks the network."""

from __future__ import annotations

import re
import socket
from collections.abc import Generator
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_testing.engines import shared
from voxmesh_testing.pictures import draw
from voxmesh_vlm.engine import AnalysisRequest, Engine, Task, TextLine
from voxmesh_vlm_rapidocr.canvas import LONGEST_SIDE, Box, Canvas
from voxmesh_vlm_rapidocr.layout import reading_order, text_corners

pytestmark = pytest.mark.engine


@pytest.fixture
def engine() -> Engine:
    return shared("vlm", "rapidocr")


def moved(x: float, y: float) -> Box:
    """A line of 100 by 20 pixels at a place."""
    return np.array([[x, y], [x + 100, y], [x + 100, y + 20], [x, y + 20]], np.float32)


def read(engine: Engine, image: Image.Image) -> list[TextLine]:
    request = AnalysisRequest((np.asarray(image, np.uint8),), Task.READ_TEXT)
    return [output for output in engine.analyze(request) if isinstance(output, TextLine)]


@pytest.mark.parametrize("degrees", [0, 15, 90, 180, 270])
def test_turned_text_is_read_in_order_with_its_own_top_left_first(engine: Engine, degrees: int) -> None:
    page = draw("Alpha line", "Beta line")
    turned = page.rotate(degrees, expand=True, fillcolor="white")
    lines = read(engine, turned)
    assert [line.text for line in lines] == ["Alpha line", "Beta line"]
    angle = np.radians(degrees)
    for line in lines:
        along = np.subtract(line.corners[1], line.corners[0])
        expected = np.array([np.cos(angle), -np.sin(angle)])
        assert along @ expected / np.linalg.norm(along) > 0.97


def test_corners_of_a_picture_that_is_made_smaller_are_in_its_own_pixels(engine: Engine) -> None:
    page = draw("Large", width=2400, height=600, font_pixels=200)
    (line,) = read(engine, page)
    ink = np.argwhere(np.asarray(page.convert("L")) < 128)
    top, left = ink.min(axis=0)
    bottom, right = ink.max(axis=0)
    # The detector leaves a margin of up to half the height of the letters.
    for (x, y), edge in zip(line.corners, ((left, top), (right, top), (right, bottom), (left, bottom)), strict=True):
        assert abs(x - edge[0]) < 100
        assert abs(y - edge[1]) < 100


def test_small_print_is_read(engine: Engine) -> None:
    (line,) = read(engine, draw("terms apply", width=120, font_pixels=14))
    assert line.text.replace(" ", "") == "termsapply"


def test_a_ribbon_of_text_is_read(engine: Engine) -> None:
    (line,) = read(engine, draw("Runs along the edge of the road", width=1500, height=60, font_pixels=24))
    assert line.text == "Runs along the edge of the road"
    assert all(0 <= x <= 1500 and 0 <= y <= 60 for x, y in line.corners)


@pytest.mark.parametrize("size", [(1, 1), (2, 3000), (3000, 2), (4000, 10)])
def test_pictures_of_any_shape_are_taken(engine: Engine, size: tuple[int, int]) -> None:
    assert read(engine, Image.new("RGB", size, "white")) == []


def test_c12_no_line_of_a_long_picture_is_lost_or_doubled(engine: Engine) -> None:
    # One piece ends at 1622, the next begins at 1458: two lines lie in both, one is cut by each.
    page = draw(*(f"Line {number:02d}" for number in range(43)), width=280, height=3080, font_pixels=44)
    lines = read(engine, page)
    numbers = [re.sub(r"\D", "", line.text) for line in lines]
    assert len(lines) == 43
    # A letter may be misread, on some processor.
    assert sum(number == f"{place:02d}" for place, number in enumerate(numbers)) >= 40
    tops = [line.corners[0][1] for line in lines]
    assert tops == sorted(tops)


def test_c12_lines_that_run_through_a_wide_picture_are_read_whole(engine: Engine) -> None:
    rows = [" ".join(f"{row}{place:02d}" for place in range(27)) for row in "AB"]
    lines = read(engine, draw(*rows, width=2600, font_pixels=36))
    assert len(lines) == 2
    for line, row in zip(lines, rows, strict=True):
        read_words = set(re.findall(r"[A-Z]\d\d", line.text.replace(" ", "")))
        assert len(read_words & set(row.split())) >= 24


def test_the_first_lines_leave_before_the_last_are_read(engine: Engine) -> None:
    page = draw(*(f"Line {number}" for number in range(14)))
    analysis = engine.analyze(AnalysisRequest((np.asarray(page, np.uint8),), Task.READ_TEXT))
    assert isinstance(analysis, Generator)
    assert isinstance(first := next(analysis), TextLine)
    assert first.text == "Line 0"
    analysis.close()
    assert list(analysis) == []


def test_nothing_is_fetched_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise AssertionError("the engine went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    loaded: Engine = load_engine("vlm", "rapidocr")(EngineContext())
    loaded.load()
    assert [line.text for line in read(loaded, draw("offline"))] == ["offline"]


def test_another_model_is_refused() -> None:
    with pytest.raises(FailedPrecondition, match="PP-OCRv6"):
        load_engine("vlm", "rapidocr")(EngineContext(model="PP-OCRv4"))


@pytest.mark.parametrize("size", [(100, 100), (4000, 100), (100, 4000), (5000, 5000), (1, 1)])
def test_a_canvas_leads_back_to_the_picture(size: tuple[int, int]) -> None:
    width, height = size
    canvas = Canvas.of(np.zeros((height, width, 3), np.uint8))
    assert max(canvas.pixels.shape) <= LONGEST_SIDE + 1
    corner = np.array([[0, 0], [width, height]], np.float32) * canvas.scale + [canvas.left, canvas.top]
    assert np.allclose(canvas.original(corner.astype(np.float32)), [[0, 0], [width, height]], atol=0.01)


def test_columns_of_a_row_are_read_from_left_to_right() -> None:
    assert reading_order([moved(300, 4), moved(0, 40), moved(0, 0), moved(300, 44)]) == [2, 0, 1, 3]


def test_lines_of_another_direction_come_after_the_main_text() -> None:
    upright = text_corners(np.array([[0, 0], [20, 0], [20, 60], [0, 60]], np.float32), upside_down=False)
    assert reading_order([upright, moved(50, 0), moved(50, 40)]) == [1, 2, 0]
