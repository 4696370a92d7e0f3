"""The package's own streaming, which needs vLLM, is driven as the package means it.

vLLM itself runs on GPUs alone. Here its engine is replaced by one of the same call that has the
real model on transformers behind it; the package's streaming code is what would run on vLLM.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qwen_asr import Qwen3ASRModel

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_stt_qwen_asr import vllm_backend
from voxmesh_stt_qwen_asr.backend import Speech
from voxmesh_stt_qwen_asr.engine import QwenAsrEngine
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.transformers_backend import TransformersBackend
from voxmesh_stt_qwen_asr.vllm_backend import VllmBackend

pytestmark = pytest.mark.engine

RATE_HERTZ = 16000
SETTINGS = QwenAsrSettings(interim_interval_s=1.0)


class TransformersAsVllm:
    """`vllm.LLM.generate` of one prompt with one audio."""

    def __init__(self, backend: TransformersBackend) -> None:
        self._model: Any = backend._model
        self._end_ids = list(backend._decoder._end_ids)
        self.heard: list[int] = []

    def generate(self, batch: list[dict[str, Any]], sampling_params: Any, *, use_tqdm: bool) -> list[Any]:
        assert (sampling_params, use_tqdm) == (None, False)
        ((audio,),) = [one["multi_modal_data"]["audio"] for one in batch]
        self.heard.append(len(audio))
        processor = self._model.processor
        inputs = processor(text=[batch[0]["prompt"]], audio=[audio], return_tensors="pt", padding=True)
        made = self._model.model.generate(**inputs, max_new_tokens=16, eos_token_id=self._end_ids).sequences
        text = processor.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [SimpleNamespace(outputs=[SimpleNamespace(text=text)])]


@pytest.fixture
def llm(words_backend: TransformersBackend) -> TransformersAsVllm:
    return TransformersAsVllm(words_backend)


@pytest.fixture
def backend(words_backend: TransformersBackend, llm: TransformersAsVllm) -> VllmBackend:
    model: Any = Qwen3ASRModel(backend="vllm", model=llm, processor=words_backend._model.processor)
    return VllmBackend(model, SETTINGS)


@pytest.fixture(scope="module")
def words() -> Samples:
    data = Path(__file__).parent / "data"
    return np.concatenate([read_audio_file(data / f"{word}.flac")[0] for word in ("project", "music")])


def test_every_decode_takes_all_audio_so_far_and_writes_what_our_own_streaming_writes(
    backend: VllmBackend, words_backend: TransformersBackend, llm: TransformersAsVllm, words: Samples
) -> None:
    theirs, ours = backend.track("claude", None), words_backend.track("claude", None)
    for length in (16_000, 32_000, 48_000):
        (heard,) = backend.decode([Speech(theirs, 0, words[:length])])
        assert [heard] == words_backend.decode([Speech(ours, 0, words[:length])])
        assert llm.heard[-1] == length
    assert heard.language == "English"


def test_what_is_not_a_whole_chunk_is_decoded_too(
    backend: VllmBackend, llm: TransformersAsVllm, words: Samples
) -> None:
    track = backend.track("", "English")
    for length in (9000, 20_000, 28_000):
        (heard,) = backend.decode([Speech(track, 0, words[:length])])
        assert llm.heard[-1] == max(length, RATE_HERTZ)
    assert heard.text == "project"


def test_a_cut_or_a_new_utterance_begins_anew(backend: VllmBackend, llm: TransformersAsVllm, words: Samples) -> None:
    track = backend.track("", "English")
    for utterance, length in ((0, 36_000), (0, 30_000), (1, 20_000)):
        backend.decode([Speech(track, utterance, words[:length])])
        assert llm.heard[-1] == length
    track.close()
    assert track.streaming is None


def test_vllm_is_loaded_by_the_packages_own_call(monkeypatch: pytest.MonkeyPatch, words_checkpoint: Path) -> None:
    asked: dict[str, Any] = {}

    def made(**arguments: Any) -> Any:
        asked.update(arguments)
        return SimpleNamespace(processor=SimpleNamespace(tokenizer=None))

    monkeypatch.setattr(Qwen3ASRModel, "LLM", made)
    vllm_backend.load_vllm(words_checkpoint, SETTINGS)
    assert asked == {"model": str(words_checkpoint), "max_new_tokens": 512, "gpu_memory_utilization": 0.5}


def test_vllm_that_is_not_installed_is_refused_with_what_to_do(words_checkpoint: Path) -> None:
    assert not vllm_backend.is_installed()
    context = EngineContext(model=str(words_checkpoint), device="cpu")
    with pytest.raises(FailedPrecondition, match=r"pip install 'qwen-asr\[vllm\]'"):
        QwenAsrEngine(context, QwenAsrSettings(backend="vllm")).load()
