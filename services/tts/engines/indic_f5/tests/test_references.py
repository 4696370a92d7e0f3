"""Recordings of voices: trimmed, cut at a pause with their transcript, refused with a reason, kept by digest."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from voxmesh_runtime.audio import Samples
from voxmesh_tts.engine import VoiceReference
from voxmesh_tts_indic_f5.references import References, UnusableReference, prepared
from voxmesh_tts_indic_f5.sounds import sounds
from voxmesh_tts_indic_f5.testing import babble

pytestmark = pytest.mark.unit

HERTZ = 24000
SAID = "ನಮಸ್ಕಾರ, ನೀವು ಹೇಗಿದ್ದೀರಿ?"


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * HERTZ), np.float32)


def test_silence_around_the_voice_is_no_part_of_its_pace() -> None:
    bare = prepared(VoiceReference(babble(2.0), SAID))
    padded = prepared(VoiceReference(np.concatenate([silence(3), babble(2.0), silence(4)]), SAID))
    assert bare.sound_s == pytest.approx(2.0 / sounds(SAID), rel=0.02)
    assert padded.sound_s == pytest.approx(bare.sound_s, rel=0.05)
    assert len(padded.samples) == pytest.approx(2.1 * HERTZ, rel=0.03)
    assert padded.cut_s is None


@pytest.mark.parametrize(
    ("transcript", "text"),
    [
        (SAID, f"{SAID}. "),
        ("ನಮಸ್ಕಾರ ಹೇಗಿದ್ದೀರಿ", "ನಮಸ್ಕಾರ ಹೇಗಿದ್ದೀರಿ. "),
        ("ನಮಸ್ಕಾರ ಹೇಗಿದ್ದೀರಿ. ", "ನಮಸ್ಕಾರ ಹೇಗಿದ್ದೀರಿ. "),
        (" ನಮಸ್ಕಾರ \n ಹೇಗಿದ್ದೀರಿ.", "ನಮಸ್ಕಾರ ಹೇಗಿದ್ದೀರಿ. "),
    ],
)
def test_a_transcript_ends_as_the_model_was_trained_to_see_it_end(transcript: str, text: str) -> None:
    assert prepared(VoiceReference(babble(2.0), transcript)).text == text


@pytest.mark.parametrize(("gain", "loudness"), [(0.02, 0.1), (1.0, None), (3.0, None)])
def test_a_soft_recording_is_made_louder_and_a_loud_one_is_left_as_it_is(gain: float, loudness: float | None) -> None:
    samples = babble(2.0) * np.float32(gain)
    made = prepared(VoiceReference(samples, SAID)).samples[: 2 * HERTZ - 2000]
    wanted = float(np.sqrt(np.mean(np.square(samples)))) if loudness is None else loudness
    assert np.sqrt(np.mean(np.square(made))) == pytest.approx(max(wanted, 0.1), rel=0.03)


@pytest.mark.parametrize("pause_s", [7.0, 9.5, 11.0])
def test_a_long_recording_is_cut_at_a_pause_and_its_transcript_where_that_is_said(pause_s: float) -> None:
    words = [f"ನಗರ{'ನ' * (count % 3)}" for count in range(60)]
    said = " ".join(words)
    recording = prepared(VoiceReference(babble(25.0, pauses_s=(pause_s, 14.0)), said))
    assert recording.cut_s == pytest.approx(pause_s + 1 / 6, abs=0.2)
    kept = recording.text.removesuffix(". ")
    assert said.startswith(kept)
    assert sounds(kept) / sounds(said) == pytest.approx(pause_s / (25 - 2 / 3), abs=0.03)
    # So that new words have the pace of the whole.
    assert recording.sound_s == pytest.approx((25 - 2 / 3) / sounds(said), rel=0.06)


def test_a_long_recording_without_a_pause_is_cut_all_the_same() -> None:
    recording = prepared(VoiceReference(babble(30.0), "ನಮಸ್ಕಾರ " * 30))
    assert recording.cut_s is not None
    assert 6.0 <= recording.cut_s <= 12.0
    assert len(recording.samples) <= 12.1 * HERTZ


@pytest.mark.parametrize(
    ("samples", "transcript", "part", "problem"),
    [
        (babble(2.0), "", "transcript", "must say what is said"),
        (babble(2.0), "  \n", "transcript", "must say what is said"),
        (babble(2.0), "...", "transcript", "must say what is said"),
        (babble(2.0), "你好", "transcript", "must say what is said"),
        (silence(3.0), SAID, "audio", "0 s of sound"),
        (np.concatenate([silence(2.0), babble(0.1)]), SAID, "audio", "of sound"),
        (babble(2.0), "ನ", "transcript", "too little for 2 s"),
        (babble(2.0), SAID * 20, "transcript", "too much for 2 s"),
    ],
)
def test_what_is_no_recording_of_a_voice_is_refused(samples: Samples, transcript: str, part: str, problem: str) -> None:
    with pytest.raises(UnusableReference, match=problem) as caught:
        prepared(VoiceReference(samples, transcript))
    assert caught.value.part == part


def test_a_voice_is_prepared_once_and_the_last_used_ones_are_kept() -> None:
    made: list[int] = []

    def mel(samples: Samples) -> torch.Tensor:
        made.append(len(samples))
        return torch.zeros(1, 1, 1)

    references = References(mel, most=2)
    first, second, third = (VoiceReference(babble(1.0 + place), SAID) for place in range(3))
    kept = references.of(first)
    assert references.of(VoiceReference(first.samples.copy(), SAID)) is kept
    references.of(second)
    assert references.of(first) is kept
    references.of(third)
    assert len(references) == 2
    assert references.of(first) is kept
    assert len(made) == 3
    references.of(second)
    assert len(made) == 4


def test_another_transcript_of_the_same_recording_is_another_voice() -> None:
    references = References(lambda _: torch.zeros(1, 1, 1), most=8)
    assert references.of(VoiceReference(babble(1.5), SAID)) is not references.of(VoiceReference(babble(1.5), SAID[:12]))


def test_what_is_refused_is_not_kept_and_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    references = References(lambda _: torch.zeros(1, 1, 1), most=8)
    with pytest.raises(UnusableReference):
        references.of(VoiceReference(silence(2.0), SAID))
    references.of(VoiceReference(babble(1.5), SAID))
    assert len(references) == 1
    assert not caplog.records
