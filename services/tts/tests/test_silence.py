"""The pause that belongs after a clause, whatever the script of its marks."""

from __future__ import annotations

import pytest

from voxmesh_tts.silence import pause_after

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("clause", "pause_s"),
    [
        ("It is so.", 0.22),
        ('"Is it so?"', 0.22),
        ("ಇದು ಸರಿ.", 0.22),
        ("यह ठीक है।", 0.22),
        ("यह ठीक है॥", 0.22),
        ("好。", 0.22),
        ("If so,", 0.09),
        ("If so —", 0.09),
        ("是\uff0c", 0.09),
        ("If so", 0.0),
        ("", 0.0),
    ],
)
def test_a_sentence_is_followed_by_a_long_pause_and_a_comma_by_a_short_one(clause: str, pause_s: float) -> None:
    assert pause_after(clause) == pause_s
