"""Which way each line of text runs, and in which order a person reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import numpy as np

from voxmesh_vlm_rapidocr.canvas import Box

UPRIGHT_RATIO = 1.5
"""A box this much higher than wide holds a line that was turned by a quarter; RapidOCR's own number."""


def text_corners(box: Box, *, upside_down: bool) -> Box:
    """The box's corners from the text's top left on, clockwise.

    Args:
        box: corners clockwise from the top left in the picture.
        upside_down: the cut-out, turned by a quarter if it is upright, shows text on its head.
    """
    turns = (1 if _is_upright(box) else 0) + (2 if upside_down else 0)
    return np.roll(box, -turns, axis=0)


def reading_order(lines: Sequence[Box]) -> list[int]:
    """The places of lines, given by their text corners, in the order of reading.

    Lines of one direction are read row by row; of several directions the one with most text comes first.
    """
    by_direction: dict[int, list[int]] = defaultdict(list)
    for place, line in enumerate(lines):
        along = line[1] - line[0]
        by_direction[round(np.arctan2(along[1], along[0]) / (np.pi / 2)) % 4].append(place)
    groups = sorted(by_direction.values(), key=lambda places: -sum(_length(lines[place]) for place in places))
    return list(chain.from_iterable(_rows(lines, places) for places in groups))


def _is_upright(box: Box) -> bool:
    width = int(max(np.linalg.norm(box[0] - box[1]), np.linalg.norm(box[2] - box[3])))
    height = int(max(np.linalg.norm(box[0] - box[3]), np.linalg.norm(box[1] - box[2])))
    return height >= UPRIGHT_RATIO * max(1, width)


def _length(line: Box) -> float:
    return float(np.linalg.norm(line[1] - line[0]))


def _rows(lines: Sequence[Box], places: Sequence[int]) -> list[int]:
    along = np.sum([lines[place][1] - lines[place][0] for place in places], axis=0)
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-along[1], along[0]])
    depth = {place: float(lines[place].mean(axis=0) @ down) for place in places}
    rows: list[list[int]] = []
    for place in sorted(places, key=lambda place: depth[place]):
        height = float(np.linalg.norm(lines[place][3] - lines[place][0]))
        if rows and depth[place] - depth[rows[-1][0]] < height / 2:
            rows[-1].append(place)
        else:
            rows.append([place])
    return [place for row in rows for place in sorted(row, key=lambda place: float(lines[place][0] @ along))]
