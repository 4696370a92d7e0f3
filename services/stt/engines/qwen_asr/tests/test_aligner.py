"""Words have times where a forced aligner of their language is loaded, and no time is made up elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.outcomes import Kind, Outcome
from voxmesh_stt.engine import RecognitionOptions, Step, Transcript
from voxmesh_stt_qwen_asr.aligner import Aligner
from voxmesh_stt_qwen_asr.backend import Spoken
from voxmesh_stt_qwen_asr.engine import QwenAsrEngine
from voxmesh_stt_qwen_asr.languages import ALIGNER_NAMES
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.testing import write_random_checkpoint

pytestmark = pytest.mark.engine

RATE_HERTZ = 16000


@pytest.fixture(scope="module")
def checkpoint(words_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Times of it mean nothing, but it is loaded, fed and read like the published one."""
    return write_random_checkpoint(tmp_path_factory.mktemp("aligner"), words_checkpoint, aligner=True)


@pytest.fixture(scope="module")
def aligner(checkpoint: Path) -> Aligner:
    return Aligner(checkpoint, "cpu")


@pytest.fixture(scope="module")
def engine(words_checkpoint: Path, checkpoint: Path) -> Iterator[QwenAsrEngine]:
    settings = QwenAsrSettings(aligner=str(checkpoint), pause_s=1.0)
    loaded = QwenAsrEngine(EngineContext(model=str(words_checkpoint)), settings)
    loaded.load()
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def project() -> Samples:
    return read_audio_file(Path(__file__).parent / "data" / "project.flac")[0]


def test_every_word_has_times_in_order_within_its_speech(aligner: Aligner, minute: Samples) -> None:
    text = "Claude, it's the weather forecast!"
    ((words),) = aligner.align([Spoken(minute[: 3 * RATE_HERTZ], text, "English")])
    assert [word.text for word in words] == ["Claude", "it's", "the", "weather", "forecast"]
    times = [time for word in words for time in (word.start_s, word.end_s)]
    assert all(0 <= time <= 3 for time in times)
    assert [word.start_s for word in words] == sorted(word.start_s for word in words)
    assert all(word.start_s <= word.end_s for word in words)


def test_finals_aligned_together_get_what_each_gets_alone(aligner: Aligner, minute: Samples) -> None:
    finals = [
        Spoken(minute[: 10 * RATE_HERTZ], "green river music", "English"),
        Spoken(minute[20 * RATE_HERTZ : 22 * RATE_HERTZ], "stop", "English"),
    ]
    assert aligner.align(finals) == [aligner.align([final])[0] for final in finals]


@pytest.mark.parametrize(
    ("seconds", "text", "language"),
    [(2, "", "English"), (2, "...", "English"), (2, "stop", ""), (2, "stop", "Hindi"), (181, "stop", "English")],
    ids=["no text", "no word", "unknown language", "language it does not know", "too long"],
)
def test_what_the_aligner_cannot_take_has_no_words_and_its_neighbour_has(
    aligner: Aligner, minute: Samples, seconds: int, text: str, language: str
) -> None:
    audio = np.resize(minute, seconds * RATE_HERTZ)
    nothing, words = aligner.align([Spoken(audio, text, language), Spoken(minute[:RATE_HERTZ], "stop", "English")])
    assert nothing == ()
    assert [word.text for word in words] == ["stop"]


def test_the_published_aligner_knows_eleven_languages() -> None:
    assert len(ALIGNER_NAMES) == 11


def final(engine: QwenAsrEngine, options: RecognitionOptions, samples: Samples) -> tuple[Transcript, list[Outcome]]:
    session = engine.open(options)
    ((*_, transcript),) = engine.step([Step(session, samples, is_final=True)])
    session.close()
    return transcript, list(session.outcomes)


def test_finals_have_words_on_the_clock_of_the_stream_when_asked_for(engine: QwenAsrEngine, project: Samples) -> None:
    silence = np.zeros(3 * RATE_HERTZ, np.float32)
    transcript, (outcome,) = final(
        engine, RecognitionOptions(word_time_offsets=True), np.concatenate([silence, project])
    )
    (word,) = transcript.words
    assert word.text == transcript.text == "project"
    assert 2.9 <= word.start_s <= word.end_s <= 3 + len(project) / RATE_HERTZ
    assert outcome.kind is Kind.APPROXIMATED
    assert "180 s" in outcome.detail
    assert engine.info.word_time_offsets


def test_nobody_pays_for_words_that_were_not_asked_for(
    engine: QwenAsrEngine, project: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    align = Aligner.align
    monkeypatch.setattr(Aligner, "align", lambda self, finals: asked.append(len(finals)) or align(self, finals))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] # the types are those of `align`
    transcript, outcomes = final(engine, RecognitionOptions(), project)
    assert (transcript.words, outcomes, sum(asked)) == ((), [], 0)


def test_a_language_that_the_aligner_lacks_is_told_at_once(engine: QwenAsrEngine, project: Samples) -> None:
    options = RecognitionOptions(language_codes=("zh",), word_time_offsets=True)
    transcript, (outcome,) = final(engine, options, project)
    assert transcript.words == ()
    assert outcome.kind is Kind.IGNORED
    assert outcome.detail == "the forced aligner knows only en"
