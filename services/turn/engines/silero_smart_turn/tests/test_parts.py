"""Edges, ring and features, each on its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from voxmesh_turn_silero_smart_turn.features import log_mel, mel_filters
from voxmesh_turn_silero_smart_turn.history import History
from voxmesh_turn_silero_smart_turn.segments import LEAD_S, TAIL_S, Segments

pytestmark = pytest.mark.unit


def edges(probabilities: Sequence[float], min_speech_s: float = 0.3, min_silence_s: float = 0.2) -> list[float]:
    """Offsets of starts, and of stops as negative numbers, for windows of 0.1 s."""
    segments = Segments(0.1, 0.5, min_speech_s, min_silence_s)
    found = [edge for value in probabilities if (edge := segments.push(value)) is not None]
    return [round(edge.offset_s if edge.is_start else -edge.offset_s, 3) for edge in found]


def test_speech_is_where_the_probability_is_high() -> None:
    assert edges([0, 0, 1, 1, 1, 1, 0, 0, 0]) == pytest.approx([0.2 - LEAD_S, -(0.6 - TAIL_S)])


def test_speech_shorter_than_the_least_does_not_count() -> None:
    assert edges([0, 1, 1, 0, 1, 1, 0, 1, 1, 0]) == []


def test_a_gap_shorter_than_the_least_silence_does_not_stop_speech() -> None:
    assert edges([0, 1, 1, 1, 0, 1, 1, 0, 1, 0, 0]) == pytest.approx([0.1 - LEAD_S, -(0.9 - TAIL_S)])


def test_a_probability_between_the_thresholds_starts_nothing_and_ends_nothing() -> None:
    assert edges([0.4] * 20) == []
    assert edges([1, 1, 1, *[0.4] * 20]) == pytest.approx([0.0])


def test_no_least_lengths_take_the_first_window_at_its_word() -> None:
    assert edges([0, 1, 0, 1, 0], 0, 0) == pytest.approx([0.1 - LEAD_S, -(0.2 - TAIL_S), 0.3 - LEAD_S, -(0.4 - TAIL_S)])


def test_a_start_is_never_before_the_stop_before_it() -> None:
    offsets = [abs(offset) for offset in edges([1, 0] * 10, 0, 0)]
    assert offsets == sorted(offsets)


def test_the_ring_gives_back_what_was_written_last() -> None:
    history = History(10)
    written = np.arange(47, dtype=np.float32)
    for begin in range(0, 47, 4):
        history.write(written[begin : begin + 4])
        end = history.position
        np.testing.assert_array_equal(history.since(end - 3), written[end - 3 : end])
        np.testing.assert_array_equal(history.since(0), written[max(0, end - 10) : end])


def test_the_filters_are_triangles_of_equal_area() -> None:
    filters = mel_filters()
    assert filters.shape == (201, 80)
    # A bin is 40 Hz: narrow filters at the bottom are sampled too coarsely for an exact area.
    np.testing.assert_allclose(filters[:, 40:].sum(axis=0) * 40, 1.0, atol=0.1)
    assert np.all(np.diff(filters.argmax(axis=0)) >= 0)


def test_features_are_scaled_and_do_not_depend_on_loudness() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(8 * 16000) / 16000).astype(np.float32)
    features = log_mel(tone)
    assert features.shape == (80, 800)
    assert features.max() - features.min() == pytest.approx(2.0)
    np.testing.assert_allclose(log_mel(tone * np.float32(0.1)), features, atol=1e-3)
    loudest = features.mean(axis=1).argmax()
    assert loudest == mel_filters()[25].argmax()


def test_features_of_silence_are_finite() -> None:
    assert np.isfinite(log_mel(np.zeros(8 * 16000, np.float32))).all()
