"""Audio is found by its place and its time, and bounded."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh_routing.timeline import KEPT_BYTES, KEPT_S, AudioTimeline
from voxmesh_runtime.audio import AudioFormat, Encoder, Encoding

pytestmark = pytest.mark.unit

CHUNK_S = 0.125
FORMAT = AudioFormat(sample_rate_hertz=8000)
CHUNK = bytes(2000)


def timeline(next_sequence: int = 0, offset_s: float = 0.0, audio_format: AudioFormat = FORMAT) -> AudioTimeline:
    return AudioTimeline(audio_format, next_sequence, offset_s)


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
    audio = timeline(7, 2.0)
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


def test_samples_are_cut_to_the_sample() -> None:
    audio, encoder = timeline(), Encoder(FORMAT)
    for value in (0.25, 0.5):
        audio.add(encoder.encode(np.full(1000, value, np.float32)), 0)
    assert audio.samples(0.1, 0.2).tolist() == [0.25] * 200 + [0.5] * 600
    assert audio.samples(-1.0, 9.0).tolist() == [0.25] * 1000 + [0.5] * 1000


def test_what_a_client_has_given_up_is_passed_over() -> None:
    audio = timeline(3, 1.0)
    audio.skip_to(7, CHUNK)
    piece = audio.add(CHUNK, 0)
    assert (piece.sequence, piece.begin_s) == (7, 1.0 + 4 * CHUNK_S)
