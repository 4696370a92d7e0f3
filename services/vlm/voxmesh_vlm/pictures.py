"""Decode picture files of strangers: known formats only, bounded in pixels and time, complete or refused."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import numpy as np
from PIL import Image, UnidentifiedImageError

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_vlm.backgrounds import Inks
from voxmesh_vlm.bombs import bomb
from voxmesh_vlm.engine import Picture

FORMATS = ("PNG", "JPEG", "WEBP")

_ORIENTATION = 0x0112
"""The EXIF field."""
_TURNS: dict[int, Callable[[Picture], Picture]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
"""From the pixels as they lie in the file to the upright ones, by orientation; the others are upright."""
_BAND_PIXELS = 1_000_000
"""Pixels whose colours are converted at once, so that the copies on the way stay small."""


def decode(files: Sequence[bytes], max_pixels: int) -> tuple[Picture, ...]:
    """The pictures of the files, upright, in RGB; behind what is transparent lies what makes the rest legible.

    Args:
        files: PNG, JPEG or WebP; of an animation the first picture counts. A colour profile is not applied.
        max_pixels: of all pictures together, checked before any is decoded.

    Raises:
        InvalidArgument: `image_chunk[i]` is no such picture, is not complete, has too many pixels or too many parts.
    """
    with warnings.catch_warnings():
        # What Pillow finds odd is told by what comes of it.
        warnings.simplefilter("ignore")
        opened = [_open(index, file, max_pixels) for index, file in enumerate(files)]
        pixels = 0
        for index, image in enumerate(opened):
            pixels += image.width * image.height
            if pixels > max_pixels:
                raise _too_large(index, f"{image.width}x{image.height} pixels are too many", max_pixels)
        return tuple(_pixels(index, image) for index, image in enumerate(opened))


def _open(index: int, file: bytes, max_pixels: int) -> Image.Image:
    problem = bomb(file)
    if problem is not None:
        raise InvalidArgument(_field(index), problem)
    try:
        return Image.open(io.BytesIO(file), formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(index, "has too many pixels", max_pixels) from None
    except UnidentifiedImageError:
        raise InvalidArgument(_field(index), "is not a PNG, JPEG or WebP picture") from None
    except Exception as error:  # noqa: BLE001 # whatever a decoder raises, its file is to blame
        raise _broken(index, error) from None


def _pixels(index: int, image: Image.Image) -> Picture:
    try:
        with closing(image):
            image.load()
            turn = _TURNS.get(_orientation(image))
            pixels = _rgb(image)
    except Exception as error:  # noqa: BLE001 # as above
        raise _broken(index, error) from None
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 # notes that cannot be read say nothing of the picture
        return 1


def _rgb(image: Image.Image) -> Picture:
    """The colours, shape (height, width, 3)."""
    inks = Inks()
    if _is_transparent(image):
        for _, band in _bands(image):
            inks.add(band.convert("RGBA"))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for row, band in _bands(image):
        pixels[row : row + band.height] = np.asarray(_opaque(band, inks))
    return pixels


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    height = max(1, _BAND_PIXELS // image.width)
    for row in range(0, image.height, height):
        yield row, image.crop((0, row, image.width, min(row + height, image.height)))


def _opaque(band: Image.Image, inks: Inks) -> Image.Image:
    if not _is_transparent(band):
        return _eight_bits(band).convert("RGB")
    layer, grey = band.convert("RGBA"), inks.background
    return Image.alpha_composite(Image.new("RGBA", layer.size, (grey, grey, grey, 255)), layer).convert("RGB")


def _is_transparent(image: Image.Image) -> bool:
    # One grey of 16 bits may be named transparent; it is shown as it is, for Pillow does not tell it apart.
    return image.has_transparency_data and not image.mode.startswith("I")


def _eight_bits(band: Image.Image) -> Image.Image:
    """A band without 16 bits of grey, which Pillow would cut off at 255 instead of scaling."""
    if not band.mode.startswith("I"):
        return band
    return Image.fromarray((np.asarray(band) >> 8).astype(np.uint8))


def _too_large(index: int, problem: str, max_pixels: int) -> InvalidArgument:
    limit = f"all pictures of an analysis may have {max_pixels} together"
    return InvalidArgument(_field(index), f"{problem}; {limit}")


def _broken(index: int, error: Exception) -> InvalidArgument:
    return InvalidArgument(_field(index), f"is damaged or not complete ({type(error).__name__})")


def _field(index: int) -> str:
    return f"image_chunk[{index}]"
