"""Odd pictures, broken ones and those made to do harm: each is decoded right, or refused with the reason."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_vlm.bombs import MAX_PARTS, MAX_SCANS, bomb
from voxmesh_vlm.pictures import decode

pytestmark = pytest.mark.unit

MAX_PIXELS = 1_000_000
RED, BLUE, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
UNKNOWN, DAMAGED = "is not a PNG, JPEG or WebP picture", "is damaged or not complete"
FLAG = np.kron(
    np.array([[RED, BLUE, WHITE], [BLACK, (0, 255, 0), (90, 90, 90)]], np.uint8), np.ones((16, 16, 1), np.uint8)
)
"""Six squares that are different whichever way they are turned."""
Pixels = npt.NDArray[np.uint8]


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    samples: bytes, depth: int = 8, colour: int = 0, *, size: tuple[int, int] = (2, 1), extra: bytes = b"", way: int = 0
) -> bytes:
    """A PNG file by hand: `samples` with a filter byte before each row, `extra` chunks before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, way))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(samples)) + chunk(b"IEND")


def file_of(image: Image.Image | Pixels, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(**options: Any) -> bytes:
    return file_of(FLAG, "JPEG", quality=95, subsampling=0, **options)


def cut(kind: str) -> bytes:
    """A file without its end."""
    file = file_of(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), kind)
    return file[: len(file) * 2 // 3]


def changed(file: bytes, old: bytes, at: int, new: bytes) -> bytes:
    """`new` in the place `at` bytes after the first `old`."""
    place = file.index(old) + at
    return file[:place] + new + file[place + len(new) :]


def frames(kind: str, **options: Any) -> bytes:
    first, second = (Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE))
    return file_of(first, kind, save_all=True, append_images=[second], **options)


def turned(orientation: int, kind: str, **options: Any) -> bytes:
    """The flag as a camera that was held otherwise saves it."""
    way = Image.Transpose
    ways = {2: way.FLIP_LEFT_RIGHT, 3: way.ROTATE_180, 4: way.FLIP_TOP_BOTTOM, 5: way.TRANSPOSE}
    ways |= {6: way.ROTATE_90, 7: way.TRANSVERSE, 8: way.ROTATE_270}
    image, exif = Image.fromarray(FLAG), Image.Exif()
    exif[0x0112] = orientation
    return file_of(image.transpose(ways[orientation]) if orientation in ways else image, kind, exif=exif, **options)


def row(*pixels: int | tuple[int, ...]) -> Pixels:
    """One row; of grey where a pixel is a number."""
    return np.array([[(pixel,) * 3 if isinstance(pixel, int) else pixel for pixel in pixels]], np.uint8)


def scans(count: int) -> bytes:
    """A JPEG of so many passes: its last one again and again."""
    file = jpeg(progressive=True)
    last = file.rindex(b"\xff\xda")
    return file[:last] + file[last:-2] * (count - file.count(b"\xff\xda") + 1) + file[-2:]


GREY_PAIR = b"\0" + bytes([7, 200])
KEY = struct.pack(">H", 7)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
ADOBE_CMYK = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
XMP = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'
PROFILE = b"junk that is no colour profile"

RIGHT: dict[str, tuple[bytes, Pixels]] = {
    **{f"exif-{way}-jpeg": (turned(way, "JPEG", quality=95, subsampling=0), FLAG) for way in range(1, 9)},
    "exif-5-png": (turned(5, "PNG"), FLAG),
    "exif-8-webp": (turned(8, "WEBP", lossless=True), FLAG),
    "exif-unknown-way": (turned(9, "PNG"), FLAG),
    "exif-garbage": (png(GREY_PAIR, extra=chunk(b"eXIf", b"garbage")), row(7, 200)),
    "exif-without-end": (png(GREY_PAIR, extra=chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff")), row(7, 200)),
    "turned-by-xmp": (png(GREY_PAIR, extra=chunk(b"iTXt", XMP)), row(7, 200).swapaxes(0, 1)),
    "one-bit": (png(b"\0\x80", 1), row(255, 0)),
    "one-bit-white-on-nothing": (png(b"\0\x80", 1, extra=chunk(b"tRNS", b"\0\0")), row(255, 0)),
    "two-bits": (png(b"\0\xc0", 2), row(255, 0)),
    "four-bits": (png(b"\0\xf1", 4), row(255, 17)),
    "grey-16": (png(b"\0" + struct.pack(">2H", 0x8000, 0xFFFF), 16), row(128, 255)),
    "grey-16-transparent": (png(b"\0" + struct.pack(">2H", 7, 0xFFFF), 16, extra=chunk(b"tRNS", KEY)), row(0, 255)),
    "rgb-16": (png(b"\0" + struct.pack(">6H", 0x8000, 256, 0, 0, 0, 0xFFFF), 16, 2), row((128, 1, 0), BLUE)),
    "grey-alpha": (png(b"\0" + bytes([9, 255, 0, 0]), 8, 4), row(9, 255)),
    "grey-alpha-16": (png(b"\0" + struct.pack(">4H", 0x8000, 0xFFFF, 0, 0), 16, 4), row(128, 255)),
    "rgba-half": (png(b"\0" + bytes([0, 0, 0, 255, 0, 0, 0, 128]), 8, 6), row(0, 127)),
    "grey-with-a-transparent-level": (png(b"\0\7\x09", extra=chunk(b"tRNS", KEY)), row(255, 9)),
    "palette": (png(b"\0\1\0", 8, 3, extra=chunk(b"PLTE", bytes([*BLUE, *RED]))), row(RED, BLUE)),
    "palette-transparent": (
        png(b"\0\1\0", 8, 3, extra=chunk(b"PLTE", bytes([*BLUE, *RED])) + chunk(b"tRNS", b"\0")),
        row(RED, 255),
    ),
    "palette-with-fewer-colours-than-used": (png(b"\0\0\x09", 8, 3, extra=chunk(b"PLTE", bytes(RED))), row(RED, 0)),
    "interlaced": (png(b"\0\x05\0\x06", way=1, size=(1, 2)), row(5, 6).swapaxes(0, 1)),
    "one-pixel": (png(b"\0\x05", size=(1, 1)), row(5)),
    "one-row": (file_of(Image.new("L", (60_000, 1), 3)), row(*[3] * 60_000)),
    "one-column": (file_of(Image.new("L", (1, 60_000), 3)), row(*[3] * 60_000).swapaxes(0, 1)),
    "cmyk-by-adobe": (file_of(ADOBE_CMYK, "JPEG", quality=95), np.full((16, 16, 3), RED, np.uint8)),
    "jpeg-grey": (file_of(Image.new("L", (2, 1), 77), "JPEG"), row(77, 77)),
    "jpeg-progressive": (jpeg(progressive=True), FLAG),
    "jpeg-many-scans": (scans(MAX_SCANS), FLAG),
    "jpeg-with-a-profile": (jpeg(icc_profile=PROFILE), FLAG),
    "png-with-a-profile": (file_of(FLAG, icc_profile=PROFILE), FLAG),
    "mpo": (frames("MPO"), np.full((4, 4, 3), RED, np.uint8)),
    "apng": (frames("PNG"), np.full((4, 4, 3), RED, np.uint8)),
    "apng-without-frames": (png(GREY_PAIR, extra=chunk(b"acTL", bytes(8))), row(7, 200)),
    "webp-animated": (frames("WEBP", lossless=True), np.full((4, 4, 3), RED, np.uint8)),
    "webp-transparent": (file_of(Image.new("RGBA", (2, 1), (0, 0, 0, 0)), "WEBP", lossless=True), row(255, 255)),
    "png-and-zip": (file_of(FLAG) + b"PK\3\4" + bytes(30), FLAG),
    "jpeg-and-html": (jpeg() + b"<script>alert(1)</script>", FLAG),
    "more-samples-than-pixels": (png(GREY_PAIR + bytes(1 << 24)), row(7, 200)),
}
"""Files and their pixels, upright."""

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", UNKNOWN),
    "text": (b"hello", UNKNOWN),
    "gif": (frames("GIF"), UNKNOWN),
    "bmp": (file_of(FLAG, "BMP"), UNKNOWN),
    "tiff": (file_of(FLAG, "TIFF"), UNKNOWN),
    "ico": (file_of(FLAG, "ICO"), UNKNOWN),
    "jpeg-2000": (file_of(FLAG, "JPEG2000"), UNKNOWN),
    "avif": (b"\0\0\0\x1cftypavif" + bytes(40), UNKNOWN),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(40), UNKNOWN),
    "svg": (SVG, UNKNOWN),
    "pdf": (file_of(FLAG, "PDF"), UNKNOWN),
    "wav": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), UNKNOWN),
    "html-and-jpeg": (b"<html>" + jpeg(), UNKNOWN),
    "only-the-magic-of-png": (b"\x89PNG\r\n\x1a\n", UNKNOWN),
    "only-the-magic-of-jpeg": (b"\xff\xd8\xff", UNKNOWN),
    "only-the-magic-of-webp": (b"RIFF\x04\0\0\0WEBP", UNKNOWN),
    "png-cut": (cut("PNG"), DAMAGED),
    "jpeg-cut": (cut("JPEG"), DAMAGED),
    "jpeg-without-its-end": (jpeg()[:-2], DAMAGED),
    "webp-cut": (cut("WEBP"), DAMAGED),
    "png-with-a-wrong-checksum": (changed(png(GREY_PAIR), b"IDAT", 6, b"\xff"), DAMAGED),
    "png-with-an-unknown-filter": (png(b"\x09\0\1"), DAMAGED),
    "png-of-3-bits": (png(GREY_PAIR, 3), UNKNOWN),
    "png-interlaced-in-an-unknown-way": (png(GREY_PAIR, way=2), DAMAGED),
    "png-without-its-palette": (png(GREY_PAIR, 8, 3), DAMAGED),
    "png-without-width": (png(b"\0", size=(0, 5)), UNKNOWN),
    "png-without-height": (png(b"\0", size=(5, 0)), UNKNOWN),
    "jpeg-without-height": (changed(jpeg(), b"\xff\xc0", 5, b"\0\0"), UNKNOWN),
    "jpeg-of-12-bits": (changed(jpeg(), b"\xff\xc0", 4, b"\x0c"), UNKNOWN),
    "jpeg-without-loss": (changed(jpeg(), b"\xff\xc0", 1, b"\xc3"), DAMAGED),
    "jpeg-without-tables": (jpeg().replace(b"\xff\xdb", b"\xff\xef"), DAMAGED),
    "png-of-2-size-claims": (
        png(GREY_PAIR, extra=chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0))),
        "too many",
    ),
    "png-of-too-many-pixels": (file_of(Image.new("1", (1_001, 1_000))), "1001x1000 pixels are too many"),
    "png-of-2-to-the-62-pixels": (png(b"\0", size=(2**31 - 1, 2**31 - 1)), "too many pixels"),
    "jpeg-of-too-many-pixels": (changed(jpeg(), b"\xff\xc0", 5, b"\xff\xff\xff\xff"), "too many pixels"),
    "webp-of-too-many-pixels": (
        b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\x00\xff\xff\x00",
        "too many pixels",
    ),
    "webp-frames-of-too-many-pixels": (
        file_of(
            Image.new("RGB", (1_001, 1_000)),
            "WEBP",
            save_all=True,
            append_images=[Image.new("RGB", (1_001, 1_000), RED)],
        ),
        "1001x1000 pixels are too many",
    ),
    "profile-bomb": (png(GREY_PAIR, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 24)))), DAMAGED),
    "text-bomb": (png(GREY_PAIR, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 24)))), DAMAGED),
    "scan-bomb": (scans(MAX_SCANS + 1), f"has more than {MAX_SCANS} scans"),
    "chunk-bomb": (png(GREY_PAIR, extra=chunk(b"tEXt", b"a\0") * MAX_PARTS), f"has more than {MAX_PARTS} chunks"),
    "segment-bomb": (
        b"\xff\xd8" + b"\xff\xef\0\2" * (MAX_PARTS + 1) + jpeg()[2:],
        f"has more than {MAX_PARTS} segments",
    ),
}
"""Files and what is said of them."""


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_odd_is_decoded_right(name: str) -> None:
    file, expected = RIGHT[name]
    (pixels,) = decode([file], MAX_PIXELS)
    assert (pixels.dtype, pixels.flags.c_contiguous, pixels.flags.writeable) == (np.uint8, True, True)
    loss = 12 if file.startswith(b"\xff\xd8") else 0
    np.testing.assert_allclose(pixels.astype(int), expected.astype(int), atol=loss)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_or_a_bomb_is_refused_with_the_reason(name: str) -> None:
    file, reason = REFUSED[name]
    with pytest.raises(InvalidArgument, match=rf"^image_chunk\[1\]: .*{re.escape(reason)}") as refused:
        decode([file_of(FLAG), file], MAX_PIXELS)
    assert refused.value.field == "image_chunk[1]"


def test_passes_are_counted_where_a_picture_has_them_and_nowhere_else() -> None:
    thumbnails = jpeg(exif=b"Exif\0\0" + b"\xff\xda" * 2 * MAX_SCANS)
    assert bomb(thumbnails) is None
    assert bomb(jpeg() + jpeg() * MAX_SCANS) is None
    assert bomb(b"\xff\xd8" + b"\xff\xda\0\2data\xff\0data\xff\xd0" * MAX_SCANS) is None
    assert bomb(b"\xff\xd8" + b"\xff\xff\xff\xda\0\2data\xff\0data\xff\xd0" * (MAX_SCANS + 1)) is not None


@pytest.mark.parametrize(
    "file", [b"", b"\xff\xd8\xff\xda", b"\x89PNG\r\n\x1a\n\0\0\0", b"\xff\xd8\xff\xe0\0\0\xff\xd9"]
)
def test_the_search_for_bombs_ends_where_a_file_does(file: bytes) -> None:
    assert bomb(file) is None
