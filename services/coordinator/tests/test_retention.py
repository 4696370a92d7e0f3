"""Audio is acknowledged when no replica will need it, and not before."""

from __future__ import annotations

import pytest

from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.listening.retention import LEAD_S, Retention
from voxmesh_routing.timeline import KEPT_S, LATE_S, AudioTimeline
from voxmesh_runtime.audio import AudioFormat

pytestmark = pytest.mark.unit

CHUNK_S = 0.125
CHUNK = bytes(2000)


class Heard:
    """A microphone that sends a piece every eighth of a second."""

    def __init__(self, place: session_pb2.Microphone | None = None) -> None:
        place = place or session_pb2.Microphone()
        self._audio = AudioTimeline(AudioFormat(sample_rate_hertz=8000), place.next_sequence, place.offset_s)
        self.needed = Retention(self._audio)

    def until(self, seconds: float) -> None:
        while self._audio.end_s < seconds - CHUNK_S / 2:
            self._audio.add(CHUNK, 0)

    @property
    def from_s(self) -> float:
        return self.needed.place().offset_s


def test_while_nobody_speaks_only_what_just_came_is_needed() -> None:
    heard = Heard()
    heard.until(5)
    assert heard.from_s == 0
    heard.until(LATE_S + 5)
    place = heard.needed.place()
    assert place.offset_s == pytest.approx(5)
    assert place.next_sequence == 40


def test_a_turn_is_needed_from_a_little_before_it_until_it_is_settled() -> None:
    heard = Heard()
    heard.until(20)
    heard.needed.turn_began(19.0)
    heard.until(40)
    assert heard.from_s == pytest.approx(19.0 - LEAD_S)
    heard.needed.turn_ended(39.0)
    heard.until(41)
    assert heard.from_s == pytest.approx(19.0 - LEAD_S)
    heard.needed.settle()
    assert heard.from_s == pytest.approx(39.0)


def test_a_turn_that_goes_on_after_its_end_was_thought_near_is_needed_whole() -> None:
    heard = Heard()
    heard.until(5)
    heard.needed.turn_began(4.0)
    heard.needed.turn_ended(5.0)
    heard.needed.turn_began(5.0)
    heard.until(6)
    heard.needed.settle()
    assert heard.from_s == pytest.approx(4.0 - LEAD_S)


def test_the_words_of_the_turn_before_are_not_heard_again() -> None:
    heard = Heard()
    heard.until(5)
    heard.needed.turn_began(3.0)
    heard.needed.turn_ended(4.5)
    heard.needed.settle()
    heard.needed.turn_began(4.75)
    heard.until(6)
    assert heard.from_s == pytest.approx(4.5)


def test_a_turn_without_end_is_needed_no_longer_than_its_bound() -> None:
    heard = Heard()
    heard.needed.turn_began(0.0)
    heard.until(KEPT_S + 30)
    assert heard.from_s == pytest.approx(30)


def test_another_replica_goes_on_from_the_same_place() -> None:
    heard = Heard()
    heard.until(20)
    heard.needed.turn_began(19.0)
    place = heard.needed.place()
    again = Heard(place)
    again.until(25)
    assert again.needed.place() == place
