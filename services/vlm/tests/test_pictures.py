"""Files of strangers become pixels, or are refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_vlm.pictures import decode

pytestmark = pytest.mark.unit

MANY = 1_000_000


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds the first bytes of a picture."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 1000) + b"IDAT" + zlib.compress(b"")[:2]


def test_a_picture_is_rows_of_red_green_and_blue() -> None:
    (picture,) = decode([file_of(Image.new("RGB", (3, 2), (10, 20, 30)))], MANY)
    assert picture.shape == (2, 3, 3)
    assert picture[1, 2].tolist() == [10, 20, 30]


def test_what_is_transparent_is_white() -> None:
    (picture,) = decode([file_of(Image.new("RGBA", (1, 1), (0, 0, 0, 0)))], MANY)
    assert picture[0, 0].tolist() == [255, 255, 255]


def inked(*inks: str | tuple[int, ...], mode: str = "RGBA") -> Image.Image:
    """Words in several inks on nothing."""
    image = Image.new("RGBA", (200, 30 * len(inks)), (0, 0, 0, 0))
    for row, ink in enumerate(inks):
        ImageDraw.Draw(image).text((5, 5 + 30 * row), "some words", fill=ink, font=ImageFont.load_default(16))
    return image.quantize(16) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize(
    ("picture", "grey"),
    [
        pytest.param(inked("white"), 0, id="C12-white"),
        pytest.param(inked((255, 255, 255, 110)), 0, id="C12-faint-white"),
        pytest.param(inked("yellow"), 0, id="C12-yellow"),
        pytest.param(inked("white", mode="LA"), 0, id="C12-grey-with-alpha"),
        pytest.param(inked("white", mode="P"), 0, id="C12-palette"),
        pytest.param(inked("black"), 255, id="C12-black"),
        pytest.param(inked("black", mode="LA"), 255, id="C12-black-grey-with-alpha"),
        pytest.param(inked("red"), 255, id="C12-red"),
        pytest.param(inked("white", "black"), 128, id="C12-white-and-black"),
    ],
)
def test_what_is_transparent_gets_what_the_ink_stands_out_from(picture: Image.Image, grey: int) -> None:
    (pixels,) = decode([file_of(picture)], MANY)
    assert pixels[0, 0].tolist() == [grey] * 3
    assert np.abs(pixels.astype(int) - grey).max() > 40


@pytest.mark.parametrize("grey", [0, 255])
def test_c12_a_panel_with_its_own_text_is_left_as_it_is(grey: int) -> None:
    panel = Image.new("RGBA", (200, 60), (grey, grey, grey, 255))
    ImageDraw.Draw(panel).text((5, 5), "some words", fill="gray", font=ImageFont.load_default(16))
    page = Image.new("RGBA", (240, 100), (0, 0, 0, 0))
    page.paste(panel, (20, 20))
    (pixels,) = decode([file_of(page)], MANY)
    np.testing.assert_array_equal(pixels[20:80, 20:220], np.asarray(panel.convert("RGB")))


@pytest.mark.parametrize("colour", ["white", "black", "red"])
def test_c12_ink_for_a_printer_keeps_its_colours(colour: str) -> None:
    (pixels,) = decode([file_of(Image.new("RGB", (8, 8), colour).convert("CMYK"), "JPEG")], MANY)
    expected = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    np.testing.assert_allclose(pixels[4, 4], np.asarray(expected), atol=8)


def test_sixteen_bits_of_grey_are_scaled() -> None:
    (picture,) = decode([file_of(Image.fromarray(np.full((1, 1), 0x8000, np.uint16)))], MANY)
    assert picture[0, 0].tolist() == [128, 128, 128]


@pytest.mark.parametrize(("orientation", "shape"), [(1, (2, 6, 3)), (3, (2, 6, 3)), (6, (6, 2, 3)), (8, (6, 2, 3))])
def test_a_picture_is_turned_as_its_file_says(orientation: int, shape: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    (picture,) = decode([file_of(Image.new("RGB", (6, 2)), "JPEG", exif=exif)], MANY)
    assert picture.shape == shape


def test_of_an_animation_the_first_picture_counts() -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    file = file_of(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert decode([file], MANY)[0][0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 1), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1)])
def test_a_claimed_size_beyond_the_limit_is_refused_before_anything_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidArgument, match="many pixels") as refused:
        decode([png_header(*size)], MANY)
    assert refused.value.field == "image_chunk[0]"


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (10, 10)])
def test_a_header_without_a_picture_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidArgument, match=r"image_chunk\[0\]"):
        decode([png_header(*size)], MANY)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_every_truncated_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    file = file_of(Image.fromarray(noise), kind)
    for size in range(0, len(file) - 200, max(1, len(file) // 40)):
        with pytest.raises(InvalidArgument, match=r"image_chunk\[0\]"):
            decode([file[:size]], MANY)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_bytes_never_raise_anything_else(kind: str) -> None:
    random = np.random.default_rng(1)
    file = np.frombuffer(file_of(Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)), kind), np.uint8)
    decoded = 0
    for _ in range(200):
        damaged = file.copy()
        damaged[random.integers(0, len(file), 5)] = random.integers(0, 256, 5)
        try:
            decoded += len(decode([damaged.tobytes()], MANY))
        except InvalidArgument as error:
            assert error.field == "image_chunk[0]"  # noqa: PT017 # some damage cannot be seen, and both are right
    assert decoded < 200


@pytest.mark.parametrize("file", [b"", b"hello", b"<svg/>", b"%PDF-1.7", file_of(Image.new("RGB", (2, 2)), "TIFF")])
def test_what_is_no_picture_of_a_known_kind_is_refused(file: bytes) -> None:
    with pytest.raises(InvalidArgument, match="is not a PNG, JPEG or WebP picture"):
        decode([file], MANY)
