"""A picture as Tesseract likes it, upright and dark on light, and the way from its pixels back to the picture's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from voxmesh_vlm.engine import Picture

MAX_PIXELS = 9_000_000
"""More are made fewer: a page of A4 at 300 dots an inch has as many, and layout analysis takes seconds beyond."""
MIDDLE_GREY = 128
MARGIN = 16
"""Pixels around the picture; letters that touch an edge are taken for something else."""

Matrix = npt.NDArray[np.float64]
"""Affine, shape (3, 3)."""
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""
Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A picture, turned and scaled."""

    image: Image.Image
    """Grey, mode L."""
    back: Matrix
    """From the page's pixels to the picture's."""
    size: tuple[int, int]
    """Width and height of the picture."""

    @classmethod
    def of(cls, picture: Picture) -> Page:
        """Lay out a picture as it lies."""
        grey = Image.fromarray(picture).convert("L")
        size = grey.size
        scale = (MAX_PIXELS / (grey.width * grey.height)) ** 0.5
        if scale < 1:
            scaled = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
            grey = grey.resize(scaled, Image.Resampling.BOX)
        background = int(np.median(np.asarray(grey)))
        if background < MIDDLE_GREY:
            grey, background = Image.eval(grey, lambda level: 255 - level), 255 - background
        image = Image.new("L", (grey.width + 2 * MARGIN, grey.height + 2 * MARGIN), background)
        image.paste(grey, (MARGIN, MARGIN))
        across, down = size[0] / grey.width, size[1] / grey.height
        return cls(image, np.array([[across, 0, -MARGIN * across], [0, down, -MARGIN * down], [0, 0, 1.0]]), size)

    @property
    def can_grow(self) -> bool:
        """Twice as wide and high it is not too large yet."""
        return 4 * self.image.width * self.image.height <= MAX_PIXELS

    def doubled(self) -> Page:
        """The page twice as wide and high."""
        wide, high = self.image.size
        image = self.image.resize((2 * wide, 2 * high), Image.Resampling.BICUBIC)
        return Page(image, self.back @ np.diag([0.5, 0.5, 1.0]), self.size)

    def turned(self, degrees: int) -> Page:
        """The page turned counterclockwise by a multiple of 90 degrees."""
        wide, high = self.image.size
        turns: dict[int, tuple[Image.Transpose, list[list[float]]]] = {
            90: (Image.Transpose.ROTATE_90, [[0, -1, wide], [1, 0, 0], [0, 0, 1]]),
            180: (Image.Transpose.ROTATE_180, [[-1, 0, wide], [0, -1, high], [0, 0, 1]]),
            270: (Image.Transpose.ROTATE_270, [[0, 1, 0], [-1, 0, high], [0, 0, 1]]),
        }
        if degrees not in turns:
            return self
        way, back = turns[degrees]
        return Page(self.image.transpose(way), self.back @ np.array(back, np.float64), self.size)

    def straightened(self, degrees: float) -> Page:
        """The page turned counterclockwise by a few degrees."""
        background = int(np.median(np.asarray(self.image)))
        image = self.image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=background)
        (left, top), (wide, high) = (np.array(each.size) / 2 for each in (self.image, image))
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        back = np.array(
            [[cos, -sin, left - cos * wide + sin * high], [sin, cos, top - sin * wide - cos * high], [0, 0, 1]]
        )
        return Page(image, self.back @ back, self.size)

    def cut_out(self, box: Box, margin: int) -> Image.Image:
        """What a box shows, with some of what is around it."""
        left, top, right, bottom = box
        wide, high = self.image.size
        around = max(0, left - margin), max(0, top - margin), min(wide, right + margin), min(high, bottom + margin)
        return self.image.crop(around)

    def corners(self, box: Box) -> Corners:
        """A box in pixels of the picture, clockwise from the top left of what the page shows upright."""
        left, top, right, bottom = box
        points = np.array([[left, right, right, left], [top, top, bottom, bottom], [1, 1, 1, 1]], np.float64)
        moved = np.clip((self.back @ points)[:2].T, 0, self.size)
        return tuple((float(x), float(y)) for x, y in moved)
