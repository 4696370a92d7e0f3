"""What lies behind a transparent picture: white, black or grey, whichever its ink stands out from.

Whoever made it saw it on some page: white letters were made for a dark one, and on white they are gone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

WHITE, BLACK, GREY = 255, 0, 128
_SEEN = 48
"""Opacity from which a pixel is ink, of 255."""
_FALLS = 3
"""Ink ends where the opacity falls to less than one part in so many."""
_FAINT_SHARE = 0.05
"""Share of the ink that may be hard to see."""
_ENOUGH = 64
"""Levels of grey between ink and background with which it is well seen."""


class Inks:
    """The ink of a picture with transparency, added band by band.

    What counts is ink that touches something transparent; a panel with its own text is legible anywhere.
    """

    def __init__(self) -> None:
        self._levels = np.zeros(256, np.int64)

    def add(self, layer: Image.Image) -> None:
        """Count the ink of a band, mode RGBA."""
        alpha = layer.getchannel("A")
        opacity = np.asarray(alpha)
        # The least opacity of a pixel and those around it.
        around = np.asarray(alpha.filter(ImageFilter.MinFilter(3)))
        edge = (opacity >= _SEEN) & (around < opacity // _FALLS)
        self._levels += np.bincount(np.asarray(layer.convert("L"))[edge], minlength=256)

    @property
    def background(self) -> int:
        """The grey level to lay behind the picture: white, unless its ink is hard to see there."""
        return best_background(self._levels)


def best_background(levels: npt.NDArray[np.int64]) -> int:
    """The background for ink of which `levels[grey]` pixels have that level, 256 of them."""
    contrasts = {grey: _least_contrast(levels, grey) for grey in (WHITE, BLACK, GREY)}
    return WHITE if contrasts[WHITE] >= _ENOUGH else max(contrasts, key=lambda grey: contrasts[grey])


def _least_contrast(levels: npt.NDArray[np.int64], grey: int) -> int:
    """Levels between a background and the ink, but for the few that are nearest to it."""
    near = np.zeros(256, np.int64)
    np.add.at(near, np.abs(np.arange(256) - grey), levels)
    return int(np.searchsorted(np.cumsum(near), _FAINT_SHARE * levels.sum(), side="right"))
