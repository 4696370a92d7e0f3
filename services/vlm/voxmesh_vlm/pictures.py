"""Decode picture files of strangers: known formats only, bounded in pixels, complete or refused."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_vlm.backgrounds import background
from voxmesh_vlm.engine import Picture

FORMATS = ("PNG", "JPEG", "WEBP")

# What Pillow's decoders raise for files that are broken, short or made to mislead.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def decode(files: Sequence[bytes], max_pixels: int) -> tuple[Picture, ...]:
    """The pictures of the files, upright, in RGB; behind what is transparent lies what makes the rest legible.

    Args:
        files: PNG, JPEG or WebP; of an animation the first picture counts.
        max_pixels: of all pictures together, checked before any is decoded.

    Raises:
        InvalidArgument: `image_chunk[i]` is no such picture, is not complete, or has too many pixels.
    """
    opened = [_open(index, file) for index, file in enumerate(files)]
    pixels = 0
    for index, image in enumerate(opened):
        pixels += image.width * image.height
        if pixels > max_pixels:
            problem = (
                f"{image.width}x{image.height} pixels are too many; all pictures of an analysis "
                f"may have {max_pixels} together"
            )
            raise InvalidArgument(f"image_chunk[{index}]", problem)
    return tuple(_pixels(index, image) for index, image in enumerate(opened))


def _open(index: int, file: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Our own limit of pixels is checked next.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(file), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise InvalidArgument(f"image_chunk[{index}]", f"has too many pixels: {error}") from None
    except UnidentifiedImageError:
        raise InvalidArgument(f"image_chunk[{index}]", "is not a PNG, JPEG or WebP picture") from None
    except _BROKEN as error:
        raise _broken(index, error) from None


def _pixels(index: int, image: Image.Image) -> Picture:
    try:
        with image:
            upright = ImageOps.exif_transpose(image)
            return np.array(_opaque(upright), np.uint8)
    except _BROKEN as error:
        raise _broken(index, error) from None


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey, which Pillow would cut off at 255 instead of scaling.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    grey = background(layer)
    return Image.alpha_composite(Image.new("RGBA", layer.size, (grey, grey, grey, 255)), layer).convert("RGB")


def _broken(index: int, error: Exception) -> InvalidArgument:
    return InvalidArgument(f"image_chunk[{index}]", f"is damaged or not complete ({type(error).__name__})")
