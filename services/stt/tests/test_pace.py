"""Interim results rest in proportion to what they cost."""

from __future__ import annotations

import pytest

from voxmesh_stt.utterances.pace import Pace

pytestmark = pytest.mark.unit


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_first_interim_result_may_come_at_once() -> None:
    assert Pace(0.25, Clock()).allows()


def test_a_result_of_one_second_is_followed_by_three_of_rest_at_a_quarter() -> None:
    clock = Clock()
    pace = Pace(0.25, clock)
    clock.now_s = 101.0
    pace.spent(began=100.0)
    clock.now_s = 103.9
    assert not pace.allows()
    clock.now_s = 104.0
    assert pace.allows()


def test_a_share_of_one_needs_no_rest() -> None:
    clock = Clock()
    pace = Pace(1.0, clock)
    clock.now_s = 105.0
    pace.spent(began=100.0)
    assert pace.allows()
