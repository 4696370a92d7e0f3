"""What is believed, tried again or taken for silence, by the figures of one try."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voxmesh_stt_faster_whisper.settings import FasterWhisperSettings
from voxmesh_stt_faster_whisper.trust import Figures, Verdict, verdict

pytestmark = pytest.mark.unit

SPOKEN = Figures(("He was not an ill-disposed young man.",), log_prob=-0.3, no_speech_prob=0.05, is_short_window=False)
LOOP = ("The end of the video, is a new video, " + "and a new video is a new video, " * 12,)
STORY = ("It's the end of the video, but it's the end of the video.",)
NO = ("No, no, no, no, no, no!",)
REFRAIN = ("Let it be, let it be,",) * 7


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, Verdict.TRUSTED, id="speech"),
        pytest.param({"is_short_window": True}, Verdict.TRUSTED, id="speech in a short window"),
        pytest.param({"no_speech_prob": 0.8}, Verdict.TRUSTED, id="a likely text though there seems no speech"),
        pytest.param({"log_prob": -1.1}, Verdict.DOUBTFUL, id="an unlikely text"),
        pytest.param({"segments": NO, "no_speech_prob": 0.8}, Verdict.TRUSTED, id="no, no, no"),
        pytest.param({"segments": REFRAIN}, Verdict.TRUSTED, id="said seven times, segment by segment"),
        pytest.param({"segments": LOOP}, Verdict.DOUBTFUL, id="a loop in speech"),
        pytest.param({"segments": LOOP, "no_speech_prob": 0.8}, Verdict.SILENCE, id="a loop in noise"),
        pytest.param({"segments": REFRAIN, "no_speech_prob": 0.8}, Verdict.SILENCE, id="a loop over segments in noise"),
        pytest.param(
            {"segments": LOOP, "no_speech_prob": 0.8, "is_short_window": True},
            Verdict.DOUBTFUL,
            id="a loop in noise, where the full window may say otherwise",
        ),
        pytest.param(
            {"segments": REFRAIN, "no_speech_prob": 0.8, "is_short_window": True},
            Verdict.DOUBTFUL,
            id="a loop over segments in noise, where the full window may say otherwise",
        ),
        pytest.param({"segments": STORY, "is_short_window": True}, Verdict.DOUBTFUL, id="twice in a short window"),
        pytest.param({"segments": STORY}, Verdict.TRUSTED, id="twice in the full window"),
        pytest.param({"segments": (), "is_short_window": True}, Verdict.DOUBTFUL, id="nothing in a short window"),
        pytest.param({"segments": ()}, Verdict.TRUSTED, id="nothing in the full window"),
        pytest.param({"no_speech_prob": 0.7, "log_prob": -1.1}, Verdict.SILENCE, id="unlikely and no speech"),
        pytest.param({"no_speech_prob": 0.8, "log_prob": -0.9}, Verdict.SILENCE, id="hardly likely and no speech"),
        pytest.param({"no_speech_prob": 0.7, "log_prob": -0.9}, Verdict.TRUSTED, id="hardly likely, perhaps speech"),
        pytest.param({"no_speech_prob": 0.95, "log_prob": -0.8}, Verdict.SILENCE, id="surely no speech"),
    ],
)
def test_a_text_is_judged_by_its_figures(changes: dict[str, object], expected: Verdict) -> None:
    assert verdict(replace(SPOKEN, **changes), FasterWhisperSettings()) is expected
