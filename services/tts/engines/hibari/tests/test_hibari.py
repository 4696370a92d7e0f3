"""Hibari's own text, silence and voices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hibari import Hibari

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import ModelUnavailableError
from voxmesh_runtime.outcomes import Kind
from voxmesh_testing.engines import shared
from voxmesh_tts.engine import SynthesisOptions
from voxmesh_tts.silence import joined, trimmed
from voxmesh_tts_hibari.engine import HibariEngine, synthesize
from voxmesh_tts_hibari.text import phonemes_of

pytestmark = pytest.mark.engine

HERTZ = 24000


@pytest.fixture
def engine() -> HibariEngine:
    return shared("tts", "hibari")


@pytest.fixture
def model(engine: HibariEngine) -> Hibari:
    assert engine._model is not None
    return engine._model


def test_the_silence_around_a_clause_is_trimmed() -> None:
    tone = np.full(HERTZ // 2, 0.1, np.float32)
    silence = np.full(HERTZ // 2, 1e-5, np.float32)
    speech = trimmed(np.concatenate([silence, tone, silence]), HERTZ)
    assert len(speech) / HERTZ == pytest.approx(0.5 + 0.02 + 0.04, abs=0.006)
    assert not len(trimmed(silence, HERTZ))


def test_a_pause_is_longer_after_a_sentence_than_after_a_comma_and_none_within() -> None:
    tone = np.full(HERTZ // 2, 0.1, np.float32)
    sentence, comma, within = (len(joined(tone, f"so{mark}", 1.0, HERTZ)) for mark in ('."', ",", ""))
    assert sentence > comma > within
    assert len(joined(tone, "so.", 2.0, HERTZ)) < sentence


def test_speech_begins_soon_after_the_start_of_its_audio(model: Hibari) -> None:
    samples = synthesize(model, "Hello there.", 1.0)
    assert np.abs(samples[: HERTZ // 10]).max() > 0.01


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_the_speaking_rate_changes_the_length(model: Hibari, rate: float) -> None:
    sentence = "The quick brown fox jumps over the lazy dog."
    plain, other = (len(synthesize(model, sentence, speed)) for speed in (1.0, rate))
    assert other == pytest.approx(plain / rate, rel=0.15)


@pytest.mark.parametrize(
    ("asked", "kind"), [(1.0, Kind.APPLIED), (2.0, Kind.APPLIED), (0.25, Kind.APPROXIMATED), (4.0, Kind.APPROXIMATED)]
)
def test_a_rate_the_model_was_not_made_for_is_approximated(engine: HibariEngine, asked: float, kind: Kind) -> None:
    session = engine.open(SynthesisOptions("af_heart", "en-US", speaking_rate=asked))
    assert [outcome.kind for outcome in session.outcomes] == [kind]


def test_a_clause_may_have_a_speed_of_its_own(engine: HibariEngine) -> None:
    session = engine.open(SynthesisOptions("af_heart", "en-US", speaking_rate=1.6))
    sentence = "The quick brown fox jumps over the lazy dog."
    plain, slow, at_most = (sum(map(len, session.synthesize(sentence, pace))) for pace in (1.0, 0.5, 4.0))
    assert slow == pytest.approx(plain * 2, rel=0.15)
    assert at_most == pytest.approx(plain * 1.6 / 2.0, rel=0.15)


def test_no_string_of_phonemes_is_longer_than_the_model_takes(model: Hibari) -> None:
    strings = phonemes_of(model, " ".join("123456789012345" for _ in range(12)))
    assert len(strings) > 1
    assert max(map(len, strings)) <= 400


def test_what_the_dictionary_fails_on_does_not_silence_the_words_around_it(model: Hibari) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        model.phonemize("Hello \u2460Y there.")
    [phonemes] = phonemes_of(model, "Hello \u2460Y there.")
    assert phonemes == " ".join([*model.phonemize("Hello"), *model.phonemize("there.")])


@pytest.mark.parametrize("text", ["ಕನ್ನಡ", "你好。", "(", "'", "“”", "..."])
def test_what_cannot_be_spoken_gives_no_audio(model: Hibari, text: str) -> None:
    assert not len(synthesize(model, text, 1.0))


def test_a_file_that_is_no_voice_is_refused_and_a_missing_one_too(tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"x")
    with pytest.raises(FailedPrecondition, match="is not a voice of hibari"):
        HibariEngine(EngineContext(model=str(other), cache_dir=tmp_path)).load()
    with pytest.raises(ModelUnavailableError):
        HibariEngine(EngineContext(model=str(tmp_path / "bf_emma.int8.onnx"), cache_dir=tmp_path)).load()


def test_the_bundled_voice_can_be_named_and_another_device_is_explained() -> None:
    named = HibariEngine(EngineContext(model="hibari/af_heart", device="cuda:0"))
    named.load()
    assert named.info.facts.model == "hibari/af_heart"
    assert "CPU only" in named.info.facts.device_reason
