"""The operator's voices: what the manifest says, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from voxmesh_runtime.audio import write_wav
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_tts.engine import Gender
from voxmesh_tts_indic_f5.engine import IndicF5Engine
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.testing import babble, write_voices
from voxmesh_tts_indic_f5.voices import LANGUAGES, MANIFEST, VoiceEntry, read_manifest, read_recording

pytestmark = pytest.mark.engine

VOICE = {"name": "asha", "audio": "asha.wav", "transcript": "ನಮಸ್ಕಾರ", "language": "kn"}


def written(folder: Path, *voices: dict[str, Any]) -> Path:
    (folder / MANIFEST).write_text(json.dumps({"voices": voices}))
    return folder


def test_a_voice_speaks_its_own_language_first_and_all_others_too(tmp_path: Path) -> None:
    [voice] = read_manifest(written(tmp_path, VOICE | {"language": "kn-IN", "gender": "female"}))
    assert (voice.language_codes[0], voice.sounds_like) == ("kn", Gender.FEMALE)
    assert sorted(voice.language_codes) == list(LANGUAGES)
    assert len(LANGUAGES) == 11


@pytest.mark.parametrize(
    ("voices", "problem"),
    [
        ((), "voices: "),
        ((VOICE, VOICE), "two voices are called 'asha'"),
        ((VOICE | {"language": "fr"},), r"voices\.0\.language: .*as, bn, .* not fr"),
        ((VOICE | {"language": "??"},), "no language tag"),
        ((VOICE | {"age": 30},), r"voices\.0\.age"),
        ((VOICE | {"name": ""},), r"voices\.0\.name"),
        (({"name": "asha"},), r"voices\.0\.audio"),
    ],
)
def test_what_is_no_manifest_is_refused_by_its_place(
    tmp_path: Path, voices: tuple[dict[str, Any], ...], problem: str
) -> None:
    with pytest.raises(FailedPrecondition, match=problem):
        read_manifest(written(tmp_path, *voices))


def test_a_folder_without_a_manifest_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"voices\.json: no such file.*VOXMESH_INDIC_F5_VOICES"):
        read_manifest(tmp_path)


def test_a_recording_comes_at_the_models_rate(tmp_path: Path) -> None:
    write_wav(tmp_path / "asha.wav", babble(2.0), 8000)
    reference = read_recording(tmp_path, VoiceEntry.model_validate(VOICE))
    assert len(reference.samples) == 3 * len(babble(2.0))
    assert reference.transcript == VOICE["transcript"]


@pytest.mark.parametrize(
    ("audio", "problem"), [(b"no sound", "cannot be read as audio"), (None, "no such file"), (b"", "empty")]
)
def test_a_recording_that_cannot_be_read_is_refused_by_its_voice(
    tmp_path: Path, audio: bytes | None, problem: str
) -> None:
    if audio is not None:
        (tmp_path / "asha.wav").write_bytes(audio)
    with pytest.raises(FailedPrecondition, match=f"voice asha: .*{problem}"):
        read_recording(tmp_path, VoiceEntry.model_validate(VOICE))


def test_a_recording_longer_than_a_minute_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "asha.wav", babble(61.0), 24000)
    with pytest.raises(FailedPrecondition, match="lasts 61 s"):
        read_recording(tmp_path, VoiceEntry.model_validate(VOICE))


def test_a_voice_of_no_use_stops_the_engine_before_the_model_is_loaded(checkpoint: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "asha.wav", babble(2.0) * 0, 24000)
    engine = IndicF5Engine(EngineContext(model=str(checkpoint)), IndicF5Settings(voices=written(tmp_path, VOICE)))
    with pytest.raises(FailedPrecondition, match="voice asha: its audio holds 0 s of sound"):
        engine.load()


def test_voices_may_lie_in_another_folder(checkpoint: Path, tmp_path: Path) -> None:
    write_voices(tmp_path, {"te": "నమస్కారం, మీరు ఎలా ఉన్నారు?"})
    engine = IndicF5Engine(EngineContext(model=str(checkpoint)), IndicF5Settings(voices=tmp_path))
    engine.load()
    assert [voice.name for voice in engine.info.voices] == ["te"]
    assert engine.info.voices[0].language_codes[0] == "te"
