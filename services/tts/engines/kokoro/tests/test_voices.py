"""The voices that ship with the engine, and those mixed of them."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_tts_kokoro.backend import MAX_PHONEMES
from voxmesh_tts_kokoro.voices import Voices

pytestmark = pytest.mark.engine


def test_voices_are_listed_with_their_language_and_the_default_first() -> None:
    listed = Voices().listed
    assert (listed[0].name, len(listed)) == ("af_heart", 28)
    assert {voice.name[0]: voice.language_codes for voice in listed} == {"a": ("en-US",), "b": ("en-GB",)}


@pytest.mark.parametrize("phonemes", [1, MAX_PHONEMES, MAX_PHONEMES + 1])
def test_a_voice_has_a_style_for_every_length(phonemes: int) -> None:
    style = Voices().style("bm_george", phonemes)
    assert (style.shape, style.dtype) == ((256,), np.float32)
    assert np.abs(style).max() > 0.1


@pytest.mark.parametrize(
    ("blend", "share", "language"),
    [
        ("af_heart+bf_emma", 0.5, "en-US"),
        ("af_heart:3+bf_emma:1", 0.75, "en-US"),
        ("af_heart:0.2+bf_emma:0.6", 0.25, "en-GB"),
    ],
)
def test_a_blend_is_a_weighted_mean_and_speaks_as_its_greatest_part(blend: str, share: float, language: str) -> None:
    voices = Voices([blend])
    assert (voices.listed[-1].name, voices.listed[-1].language_codes) == (blend, (language,))
    mean = share * voices.style("af_heart", 40) + (1 - share) * voices.style("bf_emma", 40)
    assert voices.style(blend, 40) == pytest.approx(mean, abs=2e-3)


@pytest.mark.parametrize(
    ("blend", "problem"),
    [
        ("af_heart", "two voices"),
        ("af_heart+nobody", "'nobody'"),
        ("af_heart:x+bf_emma", "'x'"),
        ("af_heart:0+bf_emma", "'0'"),
        ("af_heart:nan+bf_emma", "'nan'"),
        ("af_heart:+bf_emma", "''"),
    ],
)
def test_what_is_no_blend_is_refused(blend: str, problem: str) -> None:
    with pytest.raises(FailedPrecondition, match=problem):
        Voices([blend])
