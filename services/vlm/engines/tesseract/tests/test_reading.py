"""What is Tesseract's own: pages that are turned, aslant, dark or mixed, and the way back to their pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageOps

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.errors import Unimplemented
from voxmesh_testing.pictures import SCRIPTS, draw, written_in
from voxmesh_vlm.engine import AnalysisRequest, Engine, Task, TextDelta, TextLine
from voxmesh_vlm_tesseract.page import MAX_PIXELS, Page

pytestmark = pytest.mark.engine

TEXT = (
    "It is a truth universally acknowledged,",
    "that a single man in possession of a",
    "good fortune, must be in want of a wife.",
)
KANNADA = SCRIPTS["Knda"][1]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    loaded: Engine = load_engine("vlm", "tesseract")(EngineContext())
    loaded.load()
    yield loaded
    loaded.close()


def request(*images: Image.Image, languages: tuple[str, ...] = ()) -> AnalysisRequest:
    pictures = tuple(np.array(image.convert("RGB"), np.uint8) for image in images)
    return AnalysisRequest(pictures, Task.READ_TEXT, language_codes=languages)


def read(engine: Engine, image: Image.Image, languages: tuple[str, ...] = ()) -> list[TextLine]:
    return [line for line in engine.analyze(request(image, languages=languages)) if isinstance(line, TextLine)]


def texts(engine: Engine, image: Image.Image, languages: tuple[str, ...] = ()) -> tuple[str, ...]:
    return tuple(line.text for line in read(engine, image, languages))


def kannada() -> Image.Image:
    return Image.open(io.BytesIO(written_in("Knda"))).convert("RGB")


def above(*images: Image.Image) -> Image.Image:
    """Pictures one above the other."""
    width = max(image.width for image in images)
    padded = [ImageOps.pad(image, (width, image.height), color="white", centering=(0, 0)) for image in images]
    return Image.fromarray(np.vstack([np.asarray(image) for image in padded]))


def english() -> Image.Image:
    return draw(*TEXT, width=800, font_pixels=32)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 2, -3])
def test_a_page_is_read_whichever_way_it_lies_and_its_lines_are_where_they_are(engine: Engine, degrees: int) -> None:
    page = english().rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    lines = read(engine, page)
    assert tuple(line.text for line in lines) == TEXT
    angle = np.radians(degrees)
    for line in lines:
        along = np.subtract(line.corners[1], line.corners[0])
        assert along @ np.array([np.cos(angle), -np.sin(angle)]) / np.linalg.norm(along) > 0.999
        ((left, top), (right, bottom)) = np.min(line.corners, axis=0), np.max(line.corners, axis=0)
        ink = np.asarray(page.convert("L"))[int(top) : int(bottom) + 1, int(left) : int(right) + 1]
        assert ink.min() < 100


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_kannada_is_turned_upright_too(engine: Engine, degrees: int) -> None:
    assert texts(engine, kannada().rotate(degrees, expand=True)) == KANNADA


def test_two_scripts_on_one_page_are_both_read(engine: Engine) -> None:
    assert texts(engine, above(english(), kannada())) == (*TEXT, *KANNADA)


def test_light_letters_on_a_dark_page_are_read(engine: Engine) -> None:
    assert texts(engine, ImageOps.invert(english())) == TEXT


@pytest.mark.parametrize("font_pixels", [12, 16, 80])
def test_small_and_large_print_is_read(engine: Engine, font_pixels: int) -> None:
    found = texts(engine, draw(*TEXT, width=25 * font_pixels, font_pixels=font_pixels))
    assert [line.replace(" ", "") for line in found] == [line.replace(" ", "") for line in TEXT]


def test_corners_of_a_large_picture_are_in_its_own_pixels(engine: Engine) -> None:
    page = draw("Large", width=5000, height=4000, font_pixels=400)
    assert page.width * page.height > MAX_PIXELS
    (line,) = read(engine, page)
    ink = np.argwhere(np.asarray(page.convert("L")) < 128)
    (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0)
    edges = (left, top), (right, top), (right, bottom), (left, bottom)
    np.testing.assert_allclose(line.corners, edges, atol=20)


def test_a_page_turned_there_and_back_has_its_corners() -> None:
    page = Page.of(np.full((30, 50, 3), 255, np.uint8))
    for turn in (0, 90, 180, 270):
        turned = page.turned(turn)
        wide, high = turned.image.size
        corners = turned.corners((0, 0, wide, high))
        assert {(0.0, 0.0), (50.0, 0.0), (50.0, 30.0), (0.0, 30.0)} == set(corners)
        assert all(0 in np.subtract(*pair) for pair in pairwise(corners))
    tilted = page.straightened(5)
    across, down = (size // 2 for size in tilted.image.size)
    assert np.allclose(tilted.corners((across, down, across, down))[0], (25, 15), atol=1)


def test_a_language_chooses_the_data(engine: Engine) -> None:
    assert texts(engine, kannada(), ("kn",)) == KANNADA
    with pytest.raises(Unimplemented, match=r"image_chunk\[0\].*cannot read it"):
        texts(engine, kannada(), ("en",))


def test_a_refusal_names_the_picture_and_what_it_looks_like(engine: Engine) -> None:
    hindi = Image.open(io.BytesIO(written_in("Deva")))
    with pytest.raises(Unimplemented, match=r"image_chunk\[1\] looks like Deva.* it reads Knda, Latn"):
        list(engine.analyze(request(english(), hindi)))


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_no_text_has_no_lines(engine: Engine, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
    assert read(engine, Image.fromarray(noise).resize((600, 450), Image.Resampling.BICUBIC)) == []


def test_a_cancel_gets_through_at_every_line(engine: Engine) -> None:
    outputs = list(engine.analyze(request(english())))
    assert outputs[:2] == [TextDelta("")] * 2
    assert sum(isinstance(output, TextLine) for output in outputs) == len(TEXT)
    analysis = engine.analyze(request(english(), kannada()))
    other = engine.analyze(request(kannada()))
    # Outputs of two analyses take turns, and neither disturbs the other.
    taken = [[next(analysis), next(other)] for _ in range(5)]
    assert [line.text for line, _ in taken[2:] if isinstance(line, TextLine)] == list(TEXT)
    assert [line.text for _, line in taken[2:] if isinstance(line, TextLine)] == list(KANNADA)
