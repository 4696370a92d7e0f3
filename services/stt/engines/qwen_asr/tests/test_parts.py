"""Each part counts and computes as the package does."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qwen_asr.core.transformers_backend.modeling_qwen3_asr import _get_feat_extract_output_lengths
from qwen_asr.inference.utils import SUPPORTED_LANGUAGES

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import HubSnapshot, LocalPath, ModelUnavailableError
from voxmesh_runtime.outcomes import Kind
from voxmesh_stt.engine import Phrase, RecognitionOptions, Step
from voxmesh_stt_qwen_asr import create, loading
from voxmesh_stt_qwen_asr.backend import Speech
from voxmesh_stt_qwen_asr.biasing import context_of
from voxmesh_stt_qwen_asr.checkpoint import PUBLISHED
from voxmesh_stt_qwen_asr.encoder import token_count
from voxmesh_stt_qwen_asr.engine import QwenAsrEngine
from voxmesh_stt_qwen_asr.languages import ALL_NAMES, language_name, tag_of, tags_of
from voxmesh_stt_qwen_asr.mel import LogMel, frame_count
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.transformers_backend import TransformersBackend

pytestmark = pytest.mark.engine


def test_tokens_of_a_window_are_counted_as_the_package_counts_them() -> None:
    frames = torch.arange(1, 801)
    assert [token_count(int(count)) for count in frames] == _get_feat_extract_output_lengths(frames).tolist()


@pytest.mark.parametrize("length", [16_000, 16_159, 100_003, 128_040, 200_000])
def test_frames_of_any_range_are_those_of_the_feature_extractor(
    words_backend: TransformersBackend, minute: Samples, length: int
) -> None:
    extractor = words_backend._model.processor.feature_extractor
    whole = extractor(minute[:length], sampling_rate=16000, padding=False, truncation=False, return_tensors="pt")
    mel, end = LogMel(extractor, "cpu"), frame_count(length)
    parts = [mel.frames(minute[:length], begin, min(begin + 70, end)) for begin in range(0, end, 70)]
    loudest = max(float(part.max()) for part in parts)
    ours = torch.cat([mel.scaled(part, loudest) for part in parts], dim=1)
    assert ours.shape == whole.input_features[0].shape
    assert torch.allclose(ours, torch.as_tensor(whole.input_features[0]), atol=1e-4)


def test_every_language_of_the_package_has_a_tag_and_back() -> None:
    assert set(ALL_NAMES) == set(SUPPORTED_LANGUAGES)
    assert [language_name(tag) for tag in tags_of(ALL_NAMES)] == list(ALL_NAMES)
    assert language_name("pt-BR") == "Portuguese"
    assert tag_of("Chinese,English") == "zh"
    assert tag_of("") == tag_of("Klingon") == ""


def test_the_ends_of_an_answer_are_read_from_the_checkpoint(words_backend: TransformersBackend) -> None:
    vocabulary = words_backend.tokenizer.get_vocab()
    assert words_backend._decoder._end_ids == {vocabulary["<|im_end|>"], vocabulary["<|endoftext|>"]}
    assert max(words_backend._decoder._end_ids) < 1000


@pytest.mark.parametrize("length", [1, 100, 1599, 7999])
def test_the_shortest_speech_is_decoded(words_backend: TransformersBackend, length: int) -> None:
    (heard,) = words_backend.decode([Speech(words_backend.track("", None), 0, np.zeros(length, np.float32))])
    assert heard.text == ""


def test_no_audio_is_an_empty_final(words_checkpoint: Path) -> None:
    loaded = create(EngineContext(model=str(words_checkpoint), device="cpu"))
    loaded.load()
    session = loaded.open(RecognitionOptions())
    ((transcript,),) = loaded.step([Step(session, np.zeros(0, np.float32), is_final=True)])
    assert (transcript.text, transcript.is_final) == ("", True)
    session.close()
    loaded.close()


def test_a_stream_that_is_never_finalized_keeps_no_more_than_one_utterance(words_checkpoint: Path) -> None:
    settings = QwenAsrSettings(max_utterance_s=20, interim_share=1.0)
    loaded = QwenAsrEngine(EngineContext(model=str(words_checkpoint), device="cpu"), settings)
    loaded.load()
    word = read_audio_file(Path(__file__).parent / "data" / "project.flac")[0][3200:-11200]
    session = loaded.open(RecognitionOptions(interim_results=True))
    track: Any = session.state.track
    kept, finals = list[int](), 0
    for second in range(60):
        chunk = np.take(word, np.arange(second * 16000, (second + 1) * 16000), mode="wrap")
        (transcripts,) = loaded.step([Step(session, chunk, is_final=False)])
        finals += sum(transcript.is_final for transcript in transcripts)
        kept.append(0 if track.progress.kept is None else track.progress.kept.shape[2] - len(track.head_ids))
    session.close()
    loaded.close()
    assert finals >= 3
    assert set(kept) == {0, 104}
    assert track.progress.kept is None


def test_an_answer_is_no_longer_than_anybody_could_say(
    random_backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch, minute: Samples
) -> None:
    limits: list[int] = []
    write = random_backend._decoder.write
    monkeypatch.setattr(random_backend, "_settings", QwenAsrSettings(max_new_tokens=100))
    monkeypatch.setattr(
        random_backend._decoder,
        "write",
        lambda rows: limits.extend(row.most_tokens for row in rows) or write(rows),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] # the types are those of `write`
    )
    for length in (16_000, 160_000):
        random_backend.decode([Speech(random_backend.track("", None), 0, minute[:length])])
    assert limits == [56, 100]


def test_a_long_list_fills_the_context_and_the_rest_is_told_one_by_one(words_backend: TransformersBackend) -> None:
    phrases = tuple(Phrase(f"Name{index}", 1 + (index == 2999)) for index in range(3000))
    text, outcomes = context_of(RecognitionOptions(phrases=phrases), words_backend.tokenizer, 512)
    left_out = [outcome for outcome in outcomes if outcome.kind is Kind.IGNORED]
    assert 256 < len(words_backend.tokenizer.encode(text)) <= 512
    assert "Name2999" in text
    assert len(left_out) == 3000 - text.count("Name")
    assert left_out[0].field == f"config.biasing.phrases[{text.count('Name') - 1}]"


def test_a_context_that_is_too_long_is_cut_and_that_is_told(words_backend: TransformersBackend) -> None:
    options = RecognitionOptions(context="ಕನ್ನಡ " * 1000)
    text, (outcome,) = context_of(options, words_backend.tokenizer, 512)
    assert 256 < len(words_backend.tokenizer.encode(text)) <= 512
    assert (outcome.kind, outcome.detail) == (Kind.APPROXIMATED, "cut after 512 tokens")


@pytest.mark.parametrize(
    ("wanted", "name", "license_name", "source"),
    [
        (None, "Qwen/Qwen3-ASR-0.6B", "Apache-2.0", HubSnapshot),
        ("Qwen/Qwen3-ASR-1.7B", "Qwen/Qwen3-ASR-1.7B", "Apache-2.0", HubSnapshot),
        ("hub:Qwen/Qwen3-ASR-1.7B@abc", "Qwen/Qwen3-ASR-1.7B", "Apache-2.0", HubSnapshot),
        ("hub:someone/else", "someone/else", "unknown", HubSnapshot),
        ("path:/models/mine", "mine", "unknown", LocalPath),
    ],
)
def test_a_model_is_found_by_name_hub_or_path(
    wanted: str | None, name: str, license_name: str, source: type[object]
) -> None:
    found = PUBLISHED.find(wanted)
    assert (found.name, found.license) == (name, license_name)
    assert isinstance(found.source, source)
    assert not isinstance(found.source, HubSnapshot) or "*.safetensors" in found.source.allow_patterns


@pytest.mark.parametrize("wanted", ["", "wheel:a==1/b#sha256=" + "0" * 64, "hub:no-slash"])
def test_what_is_no_model_is_refused(wanted: str) -> None:
    with pytest.raises(FailedPrecondition):
        PUBLISHED.find(wanted)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"holds no config\.json"):
        create(EngineContext(model=str(tmp_path), device="cpu")).load()
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(FailedPrecondition, match="cannot be loaded as Qwen3-ASR"):
        create(EngineContext(model=str(tmp_path), device="cpu")).load()
    with pytest.raises(ModelUnavailableError):
        create(EngineContext(model=str(tmp_path / "none"), device="cpu")).load()


def test_a_gpu_that_fails_gives_way_to_the_cpu_with_the_reason_logged_and_told(
    words_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is there, and works")
    monkeypatch.setattr(loading, "_accelerator", lambda: "cuda:0")
    loaded = create(EngineContext(model=str(words_checkpoint)))
    with caplog.at_level(logging.WARNING):
        loaded.load()
    facts = loaded.info.facts
    assert facts.device == "cpu"
    assert "cuda:0 failed" in facts.device_reason
    assert "the accelerator failed" in caplog.text
    loaded.close()


def test_a_device_that_the_operator_names_is_not_replaced(words_checkpoint: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is there, and works")
    with pytest.raises(FailedPrecondition, match="cuda:0 failed"):
        create(EngineContext(model=str(words_checkpoint), device="cuda:0")).load()


def test_threads_are_those_that_the_operator_allows(words_checkpoint: Path) -> None:
    before = torch.get_num_threads()
    loaded = QwenAsrEngine(EngineContext(model=str(words_checkpoint), device="cpu", threads=2), QwenAsrSettings())
    try:
        loaded.load()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.gpu
def test_a_gpu_hears_what_the_cpu_hears(words_checkpoint: Path) -> None:
    samples = read_audio_file(Path(__file__).parent / "data" / "project.flac")[0]
    loaded = QwenAsrEngine(EngineContext(model=str(words_checkpoint), device="cuda:0"), QwenAsrSettings())
    loaded.load()
    session = loaded.open(RecognitionOptions())
    ((*_, transcript),) = loaded.step([Step(session, samples, is_final=True)])
    assert loaded.info.facts.device == "cuda:0"
    assert transcript.text == "project"
    session.close()
    loaded.close()
