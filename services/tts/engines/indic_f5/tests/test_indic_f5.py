"""What the engine does with the model: rates, long texts, clones, interrupts, and loading again."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Kind
from voxmesh_tts.engine import SynthesisOptions, VoiceReference
from voxmesh_tts_indic_f5.engine import MOST_S, IndicF5Engine, IndicF5Session
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.testing import babble

pytestmark = pytest.mark.engine

HERTZ = 24000
CLAUSE = "ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ."
RECORDING = VoiceReference(babble(2.0, pitch_hertz=300), "நீங்கள் எப்படி இருக்கிறீர்கள்?")


def spoken(session: IndicF5Session, clause: str = CLAUSE) -> Samples:
    """All audio of a clause."""
    return np.concatenate([np.zeros(0, np.float32), *session.synthesize(clause)])


def opened(engine: IndicF5Engine, voice: str = "kn", rate: float | None = None) -> IndicF5Session:
    return engine.open(SynthesisOptions(voice, "kn", speaking_rate=rate))


def test_the_speaking_rate_changes_the_length(engine: IndicF5Engine) -> None:
    slow, plain, fast = (len(spoken(opened(engine, rate=rate))) for rate in (0.5, 1.0, 2.0))
    assert slow == pytest.approx(plain * 2, rel=0.1)
    assert fast == pytest.approx(plain / 2, rel=0.1)


@pytest.mark.parametrize(
    ("asked", "kind"), [(1.0, Kind.APPLIED), (2.0, Kind.APPLIED), (0.25, Kind.APPROXIMATED), (4.0, Kind.APPROXIMATED)]
)
def test_a_rate_that_the_model_cannot_keep_is_approximated(engine: IndicF5Engine, asked: float, kind: Kind) -> None:
    assert [outcome.kind for outcome in opened(engine, rate=asked).outcomes] == [kind]


@pytest.mark.parametrize("clause", ["你好。", "🙂", "...", "مرحبا"])
def test_what_cannot_be_spoken_gives_no_audio(engine: IndicF5Engine, clause: str) -> None:
    assert not len(spoken(opened(engine), clause))


def test_a_long_clause_is_made_in_pieces_that_the_model_takes_with_one_pause_behind_all(engine: IndicF5Engine) -> None:
    pieces = list(opened(engine).synthesize("ನಮಸ್ಕಾರ " * 45 + "."))
    lengths = [len(piece) / HERTZ for piece in pieces]
    assert len(pieces) > 1
    assert max(lengths) + 1.5 <= MOST_S
    assert sum(lengths) == pytest.approx(45 * 9 * 0.06, rel=0.1)
    silent = [np.abs(piece[-HERTZ // 10 :]).max() == 0 for piece in pieces]
    assert silent == [False] * (len(pieces) - 1) + [True]


def test_a_sentence_in_any_script_is_followed_by_its_pause(engine: IndicF5Engine) -> None:
    session = opened(engine, "hi")
    stopped, plain = (spoken(session, f"बेंगलुरु कर्नाटक की राजधानी है{mark}") for mark in ("।", ""))
    assert np.abs(stopped[-HERTZ // 5 :]).max() == 0 < np.abs(plain[-HERTZ // 5 :]).max()


def test_a_clone_has_the_pace_and_voice_of_its_recording(engine: IndicF5Engine) -> None:
    session = engine.open(SynthesisOptions("kn", "kn", voice_reference=RECORDING))
    assert [(outcome.field, outcome.kind) for outcome in session.outcomes] == [("config.voice_reference", Kind.APPLIED)]
    cloned, own = spoken(session), spoken(opened(engine))
    assert len(cloned) != len(own)
    assert np.array_equal(cloned, spoken(engine.open(SynthesisOptions("hi", "hi", voice_reference=RECORDING))))


def test_a_recording_that_was_cut_is_told(engine: IndicF5Engine) -> None:
    long = VoiceReference(babble(20.0, pauses_s=(9.0,)), "ನಮಸ್ಕಾರ " * 25)
    [outcome] = engine.open(SynthesisOptions("kn", "kn", voice_reference=long)).outcomes
    assert outcome.kind is Kind.APPROXIMATED
    assert "9.2 s" in outcome.detail
    assert "ನಮಸ್ಕಾರ" not in outcome.detail


@pytest.mark.parametrize(
    ("reference", "field"),
    [
        (VoiceReference(babble(2.0), ""), "config.voice_reference.transcript"),
        (VoiceReference(babble(2.0) * 0, "ನಮಸ್ಕಾರ"), "config.voice_reference.audio"),
    ],
)
def test_a_bad_recording_is_refused_by_its_field_and_nothing_is_logged(
    engine: IndicF5Engine, reference: VoiceReference, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InvalidArgument) as caught:
        engine.open(SynthesisOptions("kn", "kn", voice_reference=reference))
    assert caught.value.field == field
    assert not caplog.records


@pytest.mark.parametrize("after_s", [0.0, 0.05])
def test_an_interrupt_from_another_thread_ends_the_clause_and_the_next_one_is_right(
    engine: IndicF5Engine, after_s: float
) -> None:
    session = opened(engine)
    expected = spoken(session)
    speech = session.synthesize("ನಮಸ್ಕಾರ " * 45)
    timer = threading.Timer(after_s, speech.interrupt)
    timer.start()
    pieces = list(speech)
    timer.join()
    assert sum(map(len, pieces)) / HERTZ < 20
    assert np.array_equal(spoken(session), expected)


def test_a_closed_clause_makes_no_more_pieces(engine: IndicF5Engine) -> None:
    speech = opened(engine).synthesize("ನಮಸ್ಕಾರ " * 45)
    assert len(next(speech))
    speech.close()
    assert list(speech) == []


def test_the_engine_speaks_the_same_after_it_was_closed_and_loaded_again(checkpoint: Path) -> None:
    engine = IndicF5Engine(EngineContext(model=str(checkpoint), device="cpu"), IndicF5Settings())
    engine.load()
    engine.warm_up()
    first, info = spoken(opened(engine)), engine.info
    engine.close()
    with pytest.raises(RuntimeError, match="load"):
        opened(engine)
    assert engine.info == info
    engine.load()
    assert np.array_equal(spoken(opened(engine)), first)
    engine.close()


def test_steps_without_chosen_places_are_told(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = IndicF5Engine(EngineContext(model=str(checkpoint)), IndicF5Settings(steps=8))
    with caplog.at_level(logging.WARNING):
        engine.load()
    assert [record.message for record in caplog.records if "evenly" in record.message]
    assert len(spoken(opened(engine), "ಇಲ್ಲ."))
