"""A session decodes when it is worth it, ends long speech itself and keeps its memory flat."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import Engine, RecognitionOptions, Session, Step, Transcript
from voxmesh_stt.utterances import UtteranceSession, voice
from voxmesh_stt_moonshine.engine import MoonshineEngine
from voxmesh_stt_moonshine.model import Model
from voxmesh_stt_moonshine.settings import MoonshineSettings
from voxmesh_testing.engines import shared

pytestmark = pytest.mark.engine

RATE_HERTZ = 16000
YOUNG_MAN = "He was not an ill"
NOTHING = np.zeros(0, np.float32)


@pytest.fixture
def engine() -> Engine:
    return shared("stt", "moonshine")


@pytest.fixture(scope="module")
def speech() -> Samples:
    return read_audio_file(Path(__file__).parent / "data" / "young_man.flac")[0]


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    opened = engine.open(RecognitionOptions(interim_results=True))
    yield opened
    opened.close()


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of audio of each decode, which the real model still does."""
    lengths: list[float] = []
    transcribe = Model.transcribe

    def counted(self: Model, audio: Samples) -> str:
        lengths.append(len(audio) / RATE_HERTZ)
        return transcribe(self, audio)

    monkeypatch.setattr(Model, "transcribe", counted)
    return lengths


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HERTZ), np.float32)


def _fed(engine: Engine, session: Session, samples: Samples, step_s: float = 0.1) -> list[Transcript]:
    size = round(step_s * RATE_HERTZ)
    steps = [Step(session, samples[begin : begin + size], is_final=False) for begin in range(0, len(samples), size)]
    return [transcript for step in steps for transcript in engine.step([step])[0]]


def _final(engine: Engine, session: Session) -> Transcript:
    ((transcript,),) = engine.step([Step(session, NOTHING, is_final=True)])
    assert transcript.is_final
    return transcript


def test_silence_is_never_decoded(engine: Engine, session: Session, decodes: list[float]) -> None:
    assert _fed(engine, session, _silence(20)) == []
    assert _final(engine, session).text == ""
    assert decodes == []


def test_the_final_is_ready_before_finalize_when_silence_came_first(
    engine: Engine, session: Session, speech: Samples, decodes: list[float]
) -> None:
    interim = _fed(engine, session, np.concatenate([speech, _silence(0.4)]))
    before = len(decodes)
    final = _final(engine, session)
    assert final.text.startswith(YOUNG_MAN)
    assert final.text == interim[-1].text
    assert len(decodes) == before


def test_a_silence_as_short_as_within_a_word_is_decoded_at_once(
    engine: Engine, speech: Samples, decodes: list[float]
) -> None:
    session = engine.open(RecognitionOptions())
    _fed(engine, session, np.concatenate([speech, _silence(0.5)]), step_s=0.02)
    session.discard()
    (whole,) = set(decodes[-1:])
    decodes.clear()
    _fed(engine, session, np.concatenate([speech, _silence(0.1)]), step_s=0.02)
    assert decodes[-1:] == [whole]
    session.close()


def test_more_silence_decodes_nothing_again(
    engine: Engine, session: Session, speech: Samples, decodes: list[float]
) -> None:
    _fed(engine, session, np.concatenate([speech, _silence(0.3)]))
    before = len(decodes)
    _fed(engine, session, _silence(0.9))
    assert len(decodes) == before


def test_a_long_pause_ends_an_utterance_by_itself(engine: Engine, session: Session, speech: Samples) -> None:
    transcripts = _fed(engine, session, np.concatenate([_silence(1), speech, _silence(2)]))
    (ended,) = [transcript for transcript in transcripts if transcript.is_final]
    assert ended.text.startswith(YOUNG_MAN)
    assert ended.end_s is not None
    assert 3.5 < ended.end_s < 4.5
    assert _final(engine, session).text == ""


class AlwaysVoice:
    """A detector that takes everything for speech, as in a crowd."""

    def reset(self) -> None:
        """It has no state."""

    def process_samples(self, samples: list[float]) -> float:
        """Certain of speech."""
        del samples
        return 1.0


def test_speech_without_end_is_cut_between_words(
    speech: Samples, decodes: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "new_detector", AlwaysVoice)
    engine = MoonshineEngine(EngineContext(), MoonshineSettings(max_utterance_s=5))
    engine.load()
    session = engine.open(RecognitionOptions())
    times = 6
    audio = np.tile(speech, times)
    ended = [t for t in _fed(engine, session, audio, step_s=1.0) if t.is_final]
    text = " ".join([*(t.text for t in ended), _final(engine, session).text])
    engine.close()
    assert len(ended) >= 3
    assert max(decodes) <= 5
    assert sum(decodes) == pytest.approx(len(audio) / RATE_HERTZ, abs=0.04)
    assert text.count("young man") == times


@pytest.mark.parametrize("seed", [4, 7])
def test_no_final_says_more_than_a_person_could(speech: Samples, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "new_detector", AlwaysVoice)
    engine = MoonshineEngine(EngineContext(), MoonshineSettings())
    engine.load()
    session = engine.open(RecognitionOptions())
    seconds = 13
    # So loud that the model loses the thread: ten of forty seeds end in a loop.
    noise = np.random.default_rng(seed).standard_normal(seconds * RATE_HERTZ) * 0.1
    audio = (np.resize(speech, len(noise)) + noise).astype(np.float32)
    _fed(engine, session, audio, step_s=1.0)
    final = _final(engine, session)
    engine.close()
    assert len(final.text.split()) / seconds < 5


def test_a_click_before_speech_leaves_no_fragment(engine: Engine, session: Session, speech: Samples) -> None:
    click = np.random.default_rng(seed=1).uniform(-0.9, 0.9, 320).astype(np.float32)
    _fed(engine, session, np.concatenate([_silence(0.5), click, _silence(0.7), speech, _silence(0.4)]))
    assert _final(engine, session).text.startswith(YOUNG_MAN)


def test_steady_noise_gives_no_words(engine: Engine, session: Session) -> None:
    noise = np.random.default_rng(seed=1).standard_normal(5 * RATE_HERTZ).astype(np.float32) * 0.05
    _fed(engine, session, noise)
    assert _final(engine, session).text == ""


def test_the_size_of_steps_does_not_change_finals(engine: Engine, speech: Samples) -> None:
    audio = np.concatenate([speech, _silence(2), speech, _silence(0.1)])
    texts: list[list[str]] = []
    for step_s in (0.013, 0.1, 7.0):
        session = engine.open(RecognitionOptions())
        ended = [t.text for t in _fed(engine, session, audio, step_s) if t.is_final]
        texts.append([*ended, _final(engine, session).text])
        session.close()
    assert len(texts[0]) == 2
    assert texts == [texts[0]] * 3


def test_interim_results_keep_what_they_promise_and_do_not_end_sentences(
    engine: Engine, session: Session, speech: Samples
) -> None:
    interim = _fed(engine, session, speech[: 2 * RATE_HERTZ])
    assert interim
    assert not any(t.is_final for t in interim)
    assert all(t.text[-1].isalnum() for t in interim)
    for earlier, later in pairwise(interim):
        assert later.text.startswith(earlier.text[: earlier.stable_character_count])


def test_discard_forgets_the_utterance(engine: Engine, session: Session, speech: Samples) -> None:
    _fed(engine, session, speech)
    session.discard()
    assert _final(engine, session).text == ""


def test_a_minute_of_silence_keeps_memory_flat(engine: Engine) -> None:
    session = engine.open(RecognitionOptions())
    assert isinstance(session, UtteranceSession)
    _fed(engine, session, _silence(60), step_s=30)
    held = sum(frame.nbytes for frame in session._utterance.frames)
    assert held < RATE_HERTZ * 4
    session.close()


def test_sessions_leave_no_thread_behind(engine: Engine, speech: Samples) -> None:
    before = threading.active_count()
    native = len(list(Path("/proc/self/task").iterdir()))
    for _ in range(5):
        session = engine.open(RecognitionOptions())
        _fed(engine, session, speech[:RATE_HERTZ])
        session.close()
    assert threading.active_count() == before
    assert len(list(Path("/proc/self/task").iterdir())) <= native
