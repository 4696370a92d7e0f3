"""Languages, devices and batches as the engine takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument
from voxmesh_runtime.outcomes import Kind
from voxmesh_stt.engine import Engine, Phrase, RecognitionOptions, Step
from voxmesh_stt.utterances import Hypothesis, UtteranceSession
from voxmesh_stt.utterances.utterance import LEAD_FRAMES
from voxmesh_stt_indic_conformer import create
from voxmesh_stt_indic_conformer.graphs import Loader, accelerator
from voxmesh_stt_indic_conformer.languages import LANGUAGES
from voxmesh_stt_indic_conformer.model import Model, Speech

pytestmark = pytest.mark.unit

GetClip = Callable[[str], Speech]
GetText = Callable[[str], str]


@pytest.fixture
def engine(words: Path) -> Engine:
    loaded = create(EngineContext(model=str(words)))
    loaded.load()
    loaded.warm_up()
    return loaded


def test_a_stream_without_a_language_is_refused_with_the_list(engine: Engine) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        engine.open(RecognitionOptions())
    assert refusal.value.field == "config.language_codes"
    assert ", ".join(LANGUAGES) in refusal.value.problem


def test_the_operators_default_serves_streams_without_a_language(
    words: Path, clip: GetClip, text: GetText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMESH_INDIC_CONFORMER_DEFAULT_LANGUAGE", "kn-IN")
    engine = create(EngineContext(model=str(words)))
    engine.load()
    session = engine.open(RecognitionOptions())
    ((final,),) = engine.step([Step(session, clip("counting").samples, is_final=True)])
    assert (final.text, final.language_code) == (text("counting"), "kn")


def test_a_default_language_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_INDIC_CONFORMER_DEFAULT_LANGUAGE", "en")
    with pytest.raises(FailedPrecondition, match="'en' is not supported; the model knows as, bn"):
        create(EngineContext())


def test_of_several_languages_the_first_is_used_and_that_is_told(engine: Engine, clip: GetClip) -> None:
    session = engine.open(RecognitionOptions(language_codes=("kn-IN", "hi")))
    (outcome,) = session.outcomes
    assert (outcome.field, outcome.kind) == ("config.language_codes", Kind.APPROXIMATED)
    assert "'kn-IN', the first" in outcome.detail
    ((final,),) = engine.step([Step(session, clip("counting").samples, is_final=True)])
    assert final.language_code == "kn"


def test_streams_that_end_together_are_decoded_together(
    engine: Engine, clip: GetClip, text: GetText, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    transcribe = Model.transcribe

    def counted(model: Model, batch: Sequence[Speech]) -> list[Hypothesis]:
        sizes.append(len(batch))
        return transcribe(model, batch)

    monkeypatch.setattr(Model, "transcribe", counted)
    names = ["numbers", "counting", "greeting"]
    sessions = [engine.open(RecognitionOptions(language_codes=(clip(name).language,))) for name in names]
    steps = [Step(one, clip(name).samples, is_final=True) for one, name in zip(sessions, names, strict=True)]
    finals = engine.step(steps)
    assert [transcripts[-1].text for transcripts in finals] == [text(name) for name in names]
    assert sizes == [3]


def test_one_streams_phrases_do_not_touch_anothers(engine: Engine, clip: GetClip) -> None:
    biased = engine.open(RecognitionOptions(("hi",), phrases=(Phrase("क्लॉड"),)))
    plain = engine.open(RecognitionOptions(("hi",)))
    samples = clip("claude").samples
    (with_phrases,), (without,) = engine.step([Step(one, samples, is_final=True) for one in (biased, plain)])
    assert with_phrases.text == "नमस्ते क्लॉड"
    assert without.text == "नमस्ते क्लाउड"
    biased.close()
    plain.close()


def test_a_head_is_loaded_when_its_language_is_first_spoken(words: Path, tmp_path: Path, clip: GetClip) -> None:
    folder = tmp_path / "model"
    (folder / "assets").mkdir(parents=True)
    for file in words.rglob("*.*"):
        (folder / file.relative_to(words)).symlink_to(file)
    engine = create(EngineContext(model=str(folder)))
    engine.load()
    # What is gone by then was not read before.
    (folder / "assets" / "joint_post_net_hi.onnx").unlink()
    (folder / "assets" / "joint_post_net_kn.onnx").rename(folder / "assets" / "joint_post_net_hi.onnx")
    session = engine.open(RecognitionOptions(language_codes=("hi",)))
    ((final,),) = engine.step([Step(session, clip("counting").samples, is_final=True)])
    assert final.text


@pytest.mark.skipif(accelerator() is not None, reason="there is a GPU here")
def test_without_a_gpu_the_cpu_is_taken_and_the_reason_told(engine: Engine) -> None:
    assert engine.info.facts.device == "cpu"
    assert engine.info.facts.device_reason == "no accelerator is visible"


@pytest.mark.skipif(accelerator() is not None, reason="there is a GPU here")
def test_a_gpu_that_the_operator_names_and_is_not_there_is_refused(words: Path) -> None:
    engine = create(EngineContext(model=str(words), device="cuda:0"))
    with pytest.raises(FailedPrecondition, match="set the device to auto or cpu"):
        engine.load()


@pytest.mark.gpu
def test_a_gpu_gives_the_words_that_the_cpu_gives(words: Path, clip: GetClip, text: GetText) -> None:
    engine = create(EngineContext(model=str(words), device="cuda:0"))
    engine.load()
    session = engine.open(RecognitionOptions(language_codes=("hi",)))
    ((final,),) = engine.step([Step(session, clip("numbers").samples, is_final=True)])
    assert final.text == text("numbers")
    assert engine.info.facts.device == "cuda:0"


def test_threads_are_the_operators(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Loader] = []

    class Seen(Exception):  # no failure of anything
        pass

    def stop(_: Model, __: object, ___: object, loader: Loader) -> None:
        seen.append(loader)
        raise Seen

    monkeypatch.setattr(Model, "__init__", stop)
    with pytest.raises(FailedPrecondition):
        create(EngineContext(model=str(words), device="cpu", threads=3)).load()
    assert seen == [Loader("cpu", 3)]


def test_a_stream_without_finalize_ends_utterances_and_holds_no_more_than_one(engine: Engine, clip: GetClip) -> None:
    session = engine.open(RecognitionOptions(("hi",), interim_results=True))
    minute = np.concatenate([clip("numbers").samples, np.zeros(2 * 16000, np.float32)] * 13)
    finals = 0
    for begin in range(0, len(minute), 1600):
        (transcripts,) = engine.step([Step(session, minute[begin : begin + 1600], is_final=False)])
        finals += sum(transcript.is_final and bool(transcript.text) for transcript in transcripts)
    assert finals == 13
    assert isinstance(session, UtteranceSession)
    assert len(session._utterance.frames) <= LEAD_FRAMES
    session.close()


def test_audio_of_every_length_is_taken(engine: Engine) -> None:
    session = engine.open(RecognitionOptions(language_codes=("ta",)))
    for samples in (0, 1, 511, 512, 1600):
        ((final,),) = engine.step([Step(session, np.zeros(samples, np.float32), is_final=True)])
        assert final.text == ""
