"""When each moment of the audio arrived."""

import pytest

from voxmesh_coordinator.listening.audio_clock import AudioClock

pytestmark = pytest.mark.unit


def test_an_offset_maps_to_the_arrival_of_the_piece_that_holds_it() -> None:
    clock = AudioClock()
    for number in range(5):
        clock.arrived(0.02, number * 20)
    assert clock.offset_s == pytest.approx(0.1)
    assert clock.time_ns(0.01) == 0
    assert clock.time_ns(0.03) == 20
    assert clock.time_ns(9.0) == 80


def test_no_audio_has_no_time() -> None:
    assert AudioClock().time_ns(0.0) is None


def test_an_hour_of_audio_is_not_kept() -> None:
    clock = AudioClock()
    for number in range(180_000):
        clock.arrived(0.02, number)
    assert len(clock._arrivals) < 4000
