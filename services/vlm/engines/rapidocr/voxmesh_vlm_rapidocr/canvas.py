"""Brings a picture to a size that the text detector likes, and its boxes back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from rapidocr.utils.process_img import get_rotate_crop_image

from voxmesh_vlm.engine import Picture

Box = npt.NDArray[np.float32]
"""Four corners as (x, y), shape (4, 2), clockwise."""

LONGEST_SIDE = 2000
"""Pixels; a larger picture, or piece of a long one, is made smaller, as RapidOCR does."""
SHORTEST_SIDE = 736
"""Pixels; a smaller picture is enlarged if the longest side allows, so that small print is found."""
LARGEST_SCALE = 3.0
"""Beyond this nothing more becomes legible."""
LARGEST_RATIO = 4.0
"""A ribbon is laid on a canvas no longer than this, compared to its width; the detector misses text at edges."""
LEAST_SIDE = 32
"""The detector's grid."""


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A scaled picture on a background."""

    pixels: Picture
    """BGR, as RapidOCR expects it."""
    scale: float
    left: int
    top: int
    size: tuple[int, int]
    """Width and height of the picture itself."""

    @classmethod
    def of(cls, picture: Picture) -> Canvas:
        """Lay out a picture."""
        height, width = picture.shape[:2]
        scale = _scale(height, width)
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled = cv2.resize(picture, (wide, high), interpolation=interpolation) if scale != 1 else picture
        least = max(LEAST_SIDE, round(max(wide, high) / LARGEST_RATIO))
        left, top = max(0, least - wide + 1) // 2, max(0, least - high + 1) // 2
        bgr = cv2.cvtColor(np.ascontiguousarray(scaled), cv2.COLOR_RGB2BGR)
        if left or top:
            background = [float(value) for value in np.median(bgr.reshape(-1, 3), axis=0)]
            bgr = cv2.copyMakeBorder(bgr, top, top, left, left, cv2.BORDER_CONSTANT, value=background)
        return cls(np.asarray(bgr, np.uint8), scale, left, top, (width, height))

    def original(self, box: Box) -> Box:
        """A box of the canvas in pixels of the picture, within its edges."""
        moved = (box - np.array([self.left, self.top], np.float32)) / np.float32(self.scale)
        return np.clip(moved, 0, np.array(self.size, np.float32)).astype(np.float32)


def cut_out(picture: Picture, box: Box) -> Picture:
    """What a box of a picture shows, in BGR and straight; a line that is higher than wide lies on its side."""
    height, width = picture.shape[:2]
    (left, top), (right, bottom) = np.floor(box.min(axis=0)).astype(int), np.ceil(box.max(axis=0)).astype(int) + 1
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    around = cv2.cvtColor(np.ascontiguousarray(picture[top:bottom, left:right]), cv2.COLOR_RGB2BGR)
    moved = (box - np.array([left, top], np.float32)).astype(np.float32)
    return np.asarray(get_rotate_crop_image(np.asarray(around, np.uint8), moved), np.uint8)


def _scale(height: int, width: int) -> float:
    longest, shortest = max(height, width), min(height, width)
    if longest > LONGEST_SIDE:
        return LONGEST_SIDE / longest
    return max(1.0, min(SHORTEST_SIDE / shortest, LONGEST_SIDE / longest, LARGEST_SCALE))
