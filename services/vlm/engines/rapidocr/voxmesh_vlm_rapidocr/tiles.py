"""Long pictures, such as a screenshot of a whole page: read in pieces that overlap, and put together again.

A line in the overlap is found in both pieces, whole or cut at an edge. It is kept once: whole where it is whole in one
of them, else joined from both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from voxmesh_vlm_rapidocr.canvas import LONGEST_SIDE, Box

LONG_RATIO = 2.0
"""A picture longer than this, compared to its width, is read in pieces instead of being made smaller."""
LEAST_SIDE = 8
"""Pixels; across less no text is legible, and nothing is lost when it is made smaller."""
OVERLAP = 0.1
"""Share of a piece that the next one has too: no line is higher than that where pieces lie one below the other."""
MOST_TILES = 40
"""More pieces would take minutes; they become longer instead, and are made smaller."""
_ALIKE = 0.5
"""Share of the smaller of two boxes that both cover, within the overlap, when they are of one line."""
_COVERED = 0.9
"""Share of a box that the other covers when it shows nothing more."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the longer side, in pixels."""

    begin: int
    end: int


def spans_of(height: int, width: int) -> list[Span]:
    """The pieces in which a picture is read along its longer side; one for pictures of usual shape."""
    longest, shortest = max(height, width), min(height, width)
    if longest <= max(LONGEST_SIDE, LONG_RATIO * shortest) or shortest < LEAST_SIDE:
        return [Span(0, longest)]
    length = max(LONGEST_SIDE, shortest)
    count = min(MOST_TILES, math.ceil((longest / length - OVERLAP) / (1 - OVERLAP)))
    length = math.ceil(longest / (count - (count - 1) * OVERLAP))
    begins = [round(place * (longest - length) / (count - 1)) for place in range(count)]
    return [Span(begin, begin + length) for begin in begins]


class Stitch:
    """Puts the lines of all pieces together, in pixels of the whole picture.

    Args:
        axis: 1 when pieces lie one below the other, 0 when side by side.
    """

    def __init__(self, axis: int) -> None:
        self._axis = axis
        self._open: list[Box] = []
        self._end = 0

    def add(self, span: Span, boxes: Sequence[Box], following: Span | None) -> list[Box]:
        """Take the boxes of the next piece; give those that no later piece can change.

        Args:
            span: the piece.
            boxes: in its own pixels.
            following: the piece after it; None after the last, when all that is left is given.
        """
        overlap = Span(span.begin, self._end)
        fresh: list[Box] = []
        for box in boxes:
            moved = box.copy()
            moved[:, self._axis] += span.begin
            if not self._merge(moved, overlap):
                fresh.append(moved)
        self._end = span.end
        found = [*self._open, *fresh]
        last = math.inf if following is None else following.begin
        self._open = [box for box in found if box[:, self._axis].max() >= last]
        return [box for box in found if box[:, self._axis].max() < last]

    def _merge(self, new: Box, overlap: Span) -> bool:
        """Join a box with those of earlier pieces that are of its line; false when there is none."""
        alike = [place for place, box in enumerate(self._open) if self._is_same(box, new, overlap)]
        for place in alike:
            new = joined(self._open[place], new)
        if alike:
            self._open = [*(box for place, box in enumerate(self._open) if place not in alike), new]
        return bool(alike)

    def _is_same(self, one: Box, other: Box, overlap: Span) -> bool:
        low, high = np.maximum(one.min(axis=0), other.min(axis=0)), np.minimum(one.max(axis=0), other.max(axis=0))
        if overlap.end <= overlap.begin or (high <= low).any():
            return False
        mine, theirs = self._within(one, overlap), self._within(other, overlap)
        smaller = min(_area(mine), _area(theirs))
        return smaller > 0 and _area(_common(mine, theirs)) >= _ALIKE * smaller

    def _within(self, box: Box, span: Span) -> Box:
        across = 1 - self._axis
        low, high = float(box[:, across].min()) - 1, float(box[:, across].max()) + 1
        corners = np.array([[low, span.begin], [high, span.begin], [high, span.end], [low, span.end]], np.float32)
        return _common(box, corners if self._axis else corners[::-1, ::-1])


def joined(one: Box, other: Box) -> Box:
    """The whole of a line of which two boxes show a part each, or one the whole."""
    smaller, larger = sorted((one, other), key=_area)
    return larger if _area(_common(smaller, larger)) >= _COVERED * _area(smaller) else _around(np.vstack([one, other]))


def _common(one: Box, other: Box) -> Box:
    """The polygon that two boxes both cover, shape (n, 2); empty where they do not meet."""
    if not len(one) or not len(other):
        return np.empty((0, 2), np.float32)
    area, polygon = cv2.intersectConvexConvex(np.ascontiguousarray(one), np.ascontiguousarray(other))
    return np.asarray(polygon, np.float32).reshape(-1, 2) if area > 0 else np.empty((0, 2), np.float32)


def _area(polygon: Box) -> float:
    return float(cv2.contourArea(polygon)) if len(polygon) else 0.0


def _around(points: Box) -> Box:
    """The smallest box around points: corners clockwise from the top left, as the detector gives them."""
    corners = np.asarray(cv2.boxPoints(cv2.minAreaRect(points)), np.float32)
    left, right = np.split(corners[np.argsort(corners[:, 0])], 2)
    (top_left, bottom_left), (top_right, bottom_right) = (side[np.argsort(side[:, 1])] for side in (left, right))
    return np.array([top_left, top_right, bottom_right, bottom_left], np.float32)
