"""A stream's interim results keep what they commit to, its language and its end; no clock is involved."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import RecognitionOptions, Session, Step, Transcript
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_faster_whisper.engine import FasterWhisperEngine
from voxmesh_stt_faster_whisper.settings import FasterWhisperSettings

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"
CACHE = SttSettings().cache_dir
RATE_HERTZ = 16000
NOTHING = np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def engine() -> Iterator[FasterWhisperEngine]:
    # However slow the machine, every interim result that is due is made.
    loaded = FasterWhisperEngine(EngineContext(cache_dir=CACHE, device="cpu"), FasterWhisperSettings(interim_share=1))
    loaded.load()
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def speech() -> Samples:
    names = ("young_man", "amiable", "young_man")
    return np.concatenate([read_audio_file(DATA / f"{name}.flac")[0] for name in names])


def _fed(engine: FasterWhisperEngine, session: Session, samples: Samples) -> list[Transcript]:
    size = RATE_HERTZ // 10
    steps = [Step(session, samples[begin : begin + size], is_final=False) for begin in range(0, len(samples), size)]
    return [transcript for step in steps for transcript in engine.step([step])[0]]


def test_the_committed_start_of_interim_results_never_changes(engine: FasterWhisperEngine, speech: Samples) -> None:
    session = engine.open(RecognitionOptions(interim_results=True))
    transcripts = _fed(engine, session, speech)
    session.close()
    assert not any(transcript.is_final for transcript in transcripts)
    committed = [transcript.text[: transcript.stable_character_count] for transcript in transcripts]
    assert len(transcripts) >= 8
    assert len(committed[-1]) > 20
    for transcript, (before, after) in zip(transcripts[1:], pairwise(committed), strict=True):
        assert after.startswith(before)
        assert transcript.text.startswith(before)


def test_a_step_of_several_streams_gives_each_its_own_words(engine: FasterWhisperEngine, speech: Samples) -> None:
    options = RecognitionOptions(word_time_offsets=True)
    sessions = [engine.open(options) for _ in range(3)]
    cuts = [speech[: 4 * RATE_HERTZ], speech[4 * RATE_HERTZ :], NOTHING]
    steps = [Step(session, cut, is_final=True) for session, cut in zip(sessions, cuts, strict=True)]
    together = engine.step(steps)
    alone = [engine.step([Step(session, cut, is_final=True)])[0] for session, cut in zip(sessions, cuts, strict=True)]
    for session in sessions:
        session.close()
    assert [transcripts[-1].text for transcripts in together] == [transcripts[-1].text for transcripts in alone]
    assert together[0][-1].words
    assert together[2][-1].text == ""


def test_an_accelerator_that_is_not_there_leaves_the_cpu_with_a_reason(engine: FasterWhisperEngine) -> None:
    if ctranslate2.get_cuda_device_count():
        pytest.skip("a GPU is at hand")
    automatic = FasterWhisperEngine(EngineContext(cache_dir=CACHE), FasterWhisperSettings())
    automatic.load()
    assert automatic.info.facts.device == "cpu"
    assert automatic.info.facts.device_reason
    assert engine.info.facts.device_reason == ""
    automatic.close()


@pytest.mark.gpu
def test_a_gpu_reads_what_the_cpu_reads(engine: FasterWhisperEngine, speech: Samples) -> None:
    accelerated = FasterWhisperEngine(EngineContext(cache_dir=CACHE, device="cuda:0"), FasterWhisperSettings())
    accelerated.load()
    texts: list[str] = []
    for one in (engine, accelerated):
        session = one.open(RecognitionOptions())
        texts.append(one.step([Step(session, speech, is_final=True)])[0][-1].text)
        session.close()
    assert accelerated.info.facts.device == "cuda:0"
    assert accelerated.info.max_batch_size > engine.info.max_batch_size
    assert texts[0].split()[:3] == texts[1].split()[:3]
    accelerated.close()
