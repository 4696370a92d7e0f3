"""The microphone's audio is found by its place and its time, bounded, and acknowledged when no replica will need it."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.listening.timeline import KEPT_BYTES, KEPT_S, LATE_S, LEAD_S, AudioTimeline, Retention
from voxmesh_runtime.audio import AudioFormat, Encoder, Encoding

pytestmark = pytest.mark.unit

CHUNK_S = 0.125
FORMAT = AudioFormat(sample_rate_hertz=8000)
CHUNK = bytes(2000)


def timeline(place: session_pb2.Microphone | None = None, audio_format: AudioFormat = FORMAT) -> AudioTimeline:
    return AudioTimeline(audio_format, place or session_pb2.Microphone())


def test_an_offset_maps_to_the_arrival_of_the_piece_that_holds_it() -> None:
    audio = timeline()
    for number in range(5):
        audio.add(CHUNK, number * 20)
    assert audio.end_s == 5 * CHUNK_S
    assert [audio.time_ns(offset_s) for offset_s in (0.01, CHUNK_S, 0.13, 9.0)] == [0, 0, 20, 80]


def test_no_audio_has_no_time_and_no_samples() -> None:
    assert timeline().time_ns(0.0) is None
    assert len(timeline().samples(0.0, 1.0)) == 0


def test_pieces_are_found_by_where_they_end() -> None:
    audio = timeline(session_pb2.Microphone(next_sequence=7, offset_s=2.0))
    pieces = [audio.add(CHUNK, 0) for _ in range(4)]
    assert [piece.sequence for piece in pieces] == [7, 8, 9, 10]
    assert audio.since(0.0) == pieces
    assert audio.since(2.0 + CHUNK_S) == pieces[1:]
    assert audio.since(2.0 + CHUNK_S + 0.001) == pieces[1:]
    assert audio.since(9.0) == []


def test_a_minute_is_kept_and_no_more_bytes_than_its_bound() -> None:
    audio = timeline()
    for number in range(2 * round(KEPT_S / CHUNK_S)):
        audio.add(CHUNK, number)
    assert audio.end_s - audio.since(0.0)[0].begin_s == KEPT_S
    fine = timeline(audio_format=AudioFormat(Encoding.F32LE, 48_000, 2))
    for number in range(1000):
        fine.add(bytes(64 * 1024), number)
    assert len(fine.since(0.0)) == KEPT_BYTES // (64 * 1024)
    assert fine.place(0.0).next_sequence == 1000 - KEPT_BYTES // (64 * 1024)


def test_samples_are_cut_to_the_sample() -> None:
    audio, encoder = timeline(), Encoder(FORMAT)
    for value in (0.25, 0.5):
        audio.add(encoder.encode(np.full(1000, value, np.float32)), 0)
    assert audio.samples(0.1, 0.2).tolist() == [0.25] * 200 + [0.5] * 600
    assert audio.samples(-1.0, 9.0).tolist() == [0.25] * 1000 + [0.5] * 1000


def test_what_a_client_has_given_up_is_passed_over() -> None:
    audio = timeline(session_pb2.Microphone(next_sequence=3, offset_s=1.0))
    audio.skip_to(7, CHUNK)
    piece = audio.add(CHUNK, 0)
    assert (piece.sequence, piece.begin_s) == (7, 1.0 + 4 * CHUNK_S)


class Heard:
    """A microphone that sends a piece every eighth of a second."""

    def __init__(self, place: session_pb2.Microphone | None = None) -> None:
        self._audio = timeline(place)
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
