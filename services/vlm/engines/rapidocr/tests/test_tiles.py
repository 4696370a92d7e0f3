"""C12: a long picture is read in pieces, and no line of it is lost or doubled."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh_vlm_rapidocr.canvas import LONGEST_SIDE, Box
from voxmesh_vlm_rapidocr.tiles import MOST_TILES, OVERLAP, Span, Stitch, joined, spans_of

pytestmark = pytest.mark.engine


def box(left: float, top: float, right: float, bottom: float) -> Box:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def turned(boxes: list[Box]) -> list[Box]:
    """The same with x for y, corners again clockwise from the top left."""
    return [one[:, ::-1][[0, 3, 2, 1]].copy() for one in boxes]


def seen(line: Box, span: Span, axis: int) -> Box | None:
    """What a perfect detector would find of a line in a piece: nothing of a sliver that shows no letter."""
    cut = line.copy()
    cut[:, axis] = np.clip(line[:, axis], span.begin, span.end) - span.begin
    return cut if np.ptp(cut[:, axis]) >= 5 else None


def stitched(lines: list[Box], spans: list[Span], axis: int) -> list[Box]:
    stitch = Stitch(axis)
    found: list[Box] = []
    for span, following in zip(spans, [*spans[1:], None], strict=True):
        found += stitch.add(span, [cut for line in lines if (cut := seen(line, span, axis)) is not None], following)
    return found


def along(boxes: list[Box]) -> list[tuple[float, ...]]:
    """Edges of boxes, sorted."""
    edges = np.array([[*one.min(axis=0), *one.max(axis=0)] for one in boxes]).reshape(-1, 4)
    return sorted(map(tuple, np.round(edges).tolist()))


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        pytest.param(1080, 1920, 1, id="screen"),
        pytest.param(3000, 4000, 1, id="photo"),
        pytest.param(3508, 2480, 1, id="page"),
        pytest.param(2400, 1080, 2, id="telephone"),
        pytest.param(14000, 1080, 8, id="C12-screenshot"),
        pytest.param(1080, 14000, 8, id="C12-panorama"),
        pytest.param(9000, 4000, 3, id="C12-large-and-long"),
        pytest.param(10, 2000, 1, id="ribbon"),
        pytest.param(4_000_000, 10, MOST_TILES, id="long-ribbon"),
        pytest.param(40_000_000, 1, 1, id="thread"),
    ],
)
def test_pieces_cover_the_longer_side_and_overlap(height: int, width: int, count: int) -> None:
    spans = spans_of(height, width)
    assert len(spans) == count
    assert (spans[0].begin, spans[-1].end) == (0, max(height, width))
    for one, following in itertools.pairwise(spans):
        assert one.begin < following.begin
        assert one.end - following.begin >= round(OVERLAP * min(LONGEST_SIDE, one.end - one.begin)) - 1


@pytest.mark.parametrize("axis", [0, 1])
@settings(max_examples=30, deadline=None)
@given(step=st.integers(40, 400), share=st.floats(0.3, 1.0), offset=st.integers(0, 300))
def test_c12_lines_across_the_pieces_are_found_once_and_whole(axis: int, step: int, share: float, offset: int) -> None:
    tops = range(offset, 14_000 - step, step)
    lines = [box(40, top, 900, top + max(8, round(share * step))) for top in tops]
    lines = lines if axis else turned(lines)
    found = along(stitched(lines, spans_of(14_000, 1080), axis))
    assert len(found) == len(lines)
    # A line higher than the overlap is in no piece as a whole.
    np.testing.assert_allclose(found, along(lines), atol=5 + 0.1 * step)


@pytest.mark.parametrize("axis", [0, 1])
def test_c12_lines_along_the_pieces_are_joined(axis: int) -> None:
    rows = [box(30, 40, 13_950, 90), box(30, 100, 5000, 150), box(5600, 100, 13_000, 150), box(2, 160, 1850, 200)]
    lines = turned(rows) if axis else rows
    assert along(stitched(lines, spans_of(1080, 14_000), axis)) == along(lines)


def test_c12_a_row_found_in_two_parts_in_one_piece_and_as_one_in_the_next_is_one() -> None:
    stitch = Stitch(1)
    stitch.add(Span(0, 1000), [box(0, 920, 200, 960), box(220, 920, 500, 960)], Span(900, 1900))
    (line,) = stitch.add(Span(900, 1900), [box(0, 20, 500, 60)], None)
    assert along([line]) == along([box(0, 920, 500, 960)])


def test_c12_neighbours_in_one_piece_stay_two() -> None:
    stitch = Stitch(1)
    stitch.add(Span(0, 1000), [], Span(900, 1900))
    assert len(stitch.add(Span(900, 1900), [box(0, 10, 500, 60), box(0, 30, 500, 80)], None)) == 2


def test_c12_two_parts_of_a_slanted_line_are_joined_along_it() -> None:
    whole = np.array([[0, 0], [1000, 100], [995, 150], [-5, 50]], np.float32)
    middle = (whole[[0, 3]] + whole[[1, 2]]) / 2
    first = np.array([whole[0], middle[0], middle[1], whole[3]], np.float32)
    second = np.array([middle[0], whole[1], whole[2], middle[1]], np.float32)
    np.testing.assert_allclose(joined(first, second), whole, atol=2)
