"""An utterance keeps what is worth decoding and no more."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh_stt.utterances.utterance import LEAD_FRAMES, Utterance
from voxmesh_stt.utterances.voice import FRAME_SAMPLES

pytestmark = pytest.mark.unit

TAIL_FRAMES = 6


def _heard(pattern: str, levels: list[float] | None = None) -> Utterance:
    """An utterance of one frame a character: `v` is voiced."""
    utterance = Utterance(TAIL_FRAMES)
    for index, character in enumerate(pattern):
        level = levels[index] if levels else float(index)
        utterance.add(np.full(FRAME_SAMPLES, level, np.float32), is_voiced=character == "v")
    return utterance


def test_hours_of_silence_keep_only_the_lead() -> None:
    utterance = _heard("." * 1000)
    assert len(utterance.frames) == LEAD_FRAMES
    assert not utterance.has_speech
    assert utterance.silent_frames == 0


def test_speech_begins_with_its_lead_and_ends_with_its_tail() -> None:
    utterance = _heard("." * 20 + "vvvv" + "." * 20)
    speech = utterance.speech()
    assert len(speech) == (LEAD_FRAMES + 4 + TAIL_FRAMES) * FRAME_SAMPLES
    assert speech[0] == 20 - LEAD_FRAMES
    assert speech[-1] == 20 + 4 + TAIL_FRAMES - 1


def test_more_silence_changes_nothing_once_the_tail_is_complete() -> None:
    settled, later = _heard("vvv" + "." * TAIL_FRAMES), _heard("vvv" + "." * (TAIL_FRAMES + 30))
    assert settled.is_settled
    assert np.array_equal(settled.speech(), later.speech())
    assert not _heard("vvv" + "." * (TAIL_FRAMES - 1)).is_settled


def test_a_click_is_no_speech() -> None:
    assert not _heard("....vv.....").has_speech
    assert _heard("....vvv....").has_speech


def test_a_cut_falls_on_the_quietest_place_and_loses_nothing() -> None:
    levels = [0.5] * 600
    levels[540:543] = [0.01] * 3
    utterance = _heard("v" * 600, levels)
    head = utterance.cut()
    assert len(head.frames) == 541
    assert len(utterance.frames) == 600 - 541
    assert (head.voiced_count, utterance.voiced_count) == (541, 59)
    assert utterance.voiced_end == 59
