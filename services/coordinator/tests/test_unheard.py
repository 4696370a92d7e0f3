"""What a recogniser has not answered is kept for another one."""

from __future__ import annotations

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh_coordinator.listening.pending_audio import MAX_UNHEARD_S, FinalizeMarker, Heard, PendingAudio

pytestmark = pytest.mark.unit


def piece(begin_s: float) -> Heard:
    return Heard(begin_s, begin_s + 1, b"")


def test_what_was_answered_is_forgotten_in_order() -> None:
    unheard, mark = PendingAudio(), FinalizeMarker(common_pb2.TraceContext())
    unheard.begin([piece(1), piece(2)])
    unheard.add(mark)
    unheard.add(piece(3))
    assert unheard.begin_s(9) == 1
    unheard.answered(2)
    assert list(unheard) == [piece(2), mark, piece(3)]
    unheard.finalize_answered()
    assert list(unheard) == [piece(3)]
    unheard.answered(10)
    assert not unheard
    assert unheard.begin_s(9) == 9


def test_a_mark_that_was_not_answered_is_not_passed() -> None:
    unheard, mark = PendingAudio(), FinalizeMarker(common_pb2.TraceContext())
    unheard.add(piece(0))
    unheard.add(mark)
    unheard.add(piece(1))
    unheard.answered(10)
    assert list(unheard) == [mark, piece(1)]


def test_a_recogniser_that_says_nothing_gets_the_last_minute_again() -> None:
    unheard = PendingAudio()
    for second in range(200):
        unheard.add(piece(second))
    assert len(list(unheard)) <= MAX_UNHEARD_S + 1
    assert unheard.begin_s(0) >= 199 - MAX_UNHEARD_S
