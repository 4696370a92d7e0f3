"""Pictures as the model sees them: patches of 16 by 16 pixels, two frames deep, four patches a token.

A picture is its own frame twice; frames of a video go in pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from transformers.image_utils import ChannelDimension

from voxmesh_vlm.engine import Picture

_MOST_DRAWN_OUT = 100
"""The model's resizing takes pictures up to 200 times as long as wide; longer ones get a margin."""
_MARGIN = 255


@dataclass(frozen=True, slots=True)
class Patches:
    """One picture, or one video."""

    values: torch.Tensor
    """(patches, 3 x 2 x 16 x 16), normalised."""
    grid: tuple[int, int, int]
    """Pairs of frames, rows and columns of patches."""


class Patcher:
    """Cuts pictures up.

    Args:
        processor: the model's `Qwen2VLImageProcessor`.
        min_pixels: smaller pictures are enlarged.
    """

    def __init__(self, processor: Any, min_pixels: int) -> None:
        self._processor = processor
        self._min_pixels = min_pixels
        self.side = processor.patch_size * processor.merge_size
        """Of the square that becomes a token, in pixels."""

    def pictures(self, pictures: Sequence[Picture], max_pixels: int) -> list[Patches]:
        """Each picture by itself; together they have at most `max_pixels`."""
        return [self._cut([picture], max_pixels // len(pictures)) for picture in pictures]

    def video(self, frames: Sequence[Picture], max_pixels: int) -> Patches:
        """Frames of one size, in pairs; of an odd number the last stands twice."""
        return self._cut(frames, max_pixels // len(frames))

    def tokens(self, patches: Patches) -> int:
        """Tokens of a pair of frames."""
        return patches.grid[1] * patches.grid[2] // self._processor.merge_size**2

    def _cut(self, frames: Sequence[Picture], max_pixels: int) -> Patches:
        most = max(max_pixels, self.side**2)
        processor = self._processor
        # The public way takes no frames, and a shape of 3 rows or columns for channels.
        values, grid = processor._preprocess(  # noqa: SLF001 # as above
            [with_margin(frame) for frame in frames],
            do_resize=True,
            size={"shortest_edge": min(self._min_pixels, most), "longest_edge": most},
            resample=processor.resample,
            do_rescale=True,
            rescale_factor=processor.rescale_factor,
            do_normalize=True,
            image_mean=processor.image_mean,
            image_std=processor.image_std,
            patch_size=processor.patch_size,
            temporal_patch_size=processor.temporal_patch_size,
            merge_size=processor.merge_size,
            do_convert_rgb=False,
            input_data_format=ChannelDimension.LAST,
        )
        return Patches(torch.from_numpy(np.asarray(values, np.float32)), grid)


def with_margin(picture: Picture) -> Picture:
    """A picture with white at its right or below, where it is drawn out further than the model takes."""
    height, width = picture.shape[:2]
    below = max(0, ceil(width / _MOST_DRAWN_OUT) - height)
    right = max(0, ceil(height / _MOST_DRAWN_OUT) - width)
    if not below and not right:
        return picture
    return np.pad(picture, ((0, below), (0, right), (0, 0)), constant_values=_MARGIN)
