"""The package's model, stepped by us: frames and audio as its own, chunk by chunk, and cancelled within a frame."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_tts_qwen_tts.checkpoint import PUBLISHED
from voxmesh_tts_qwen_tts.codec import ChunkDecoder, chunk_sizes
from voxmesh_tts_qwen_tts.library import quiet
from voxmesh_tts_qwen_tts.loading import load_model
from voxmesh_tts_qwen_tts.model import Manner, QwenTts, dtype_of
from voxmesh_tts_qwen_tts.talker import frames, prompt_of
from voxmesh_tts_qwen_tts.testing import SHORT, recording

pytestmark = pytest.mark.engine

TEXT = "Paris is the capital of France."
OTHER = "No, it is not."
GREEDY = {"do_sample": False, "subtalker_dosample": False}
SEED = 5


def manner_of(model: QwenTts, transcript: str = "hello there") -> Manner:
    if model.kind == "base":
        return Manner("", "english", recording=model.recorded.voice(recording(), transcript))
    return Manner("ryan", "english", "whisper")


def generate(model: QwenTts, manner: Manner, **arguments: Any) -> Any:
    """By the package's own method: audio and rate."""
    package = model._package
    match model.kind:
        case "custom_voice":
            return package.generate_custom_voice(
                TEXT, speaker=manner.speaker, language=manner.language, instruct=manner.instruction, **arguments
            )
        case "voice_design":
            return package.generate_voice_design(TEXT, manner.instruction, manner.language, **arguments)
        case _:
            return package.generate_voice_clone(
                TEXT, manner.language, voice_clone_prompt=[manner.recording], **arguments
            )


@pytest.mark.parametrize("arguments", [GREEDY, {}], ids=["greedy", "drawn"])
@pytest.mark.parametrize(
    ("kind", "transcript"),
    [("custom_voice", ""), ("voice_design", ""), ("base", "hello there"), ("base", "")],
    ids=["speaker", "described", "continued", "sound alone"],
)
def test_frames_and_audio_are_those_of_the_package(
    models: dict[str, QwenTts], kind: str, transcript: str, arguments: dict[str, Any]
) -> None:
    model, most = models[kind], 30
    manner = manner_of(model, transcript)
    torch.manual_seed(SEED)
    (whole,), hertz = generate(model, manner, max_new_tokens=most + 1, **arguments)
    talker = model.talker
    prompt = prompt_of(talker, lambda: generate(model, manner, **arguments))
    made = list(frames(talker, prompt, most, SEED))
    assert hertz == model.hertz
    assert len(made) * 1920 == len(whole)
    decoder = ChunkDecoder(model.codec, None if manner.recording is None else manner.recording.ref_code)
    pieces, rest, sizes = [], made, chunk_sizes()
    while rest:
        size = next(sizes)
        pieces.append(decoder.decode(rest[:size]))
        rest = rest[size:]
    streamed = np.concatenate(pieces)
    assert len(pieces) > 1
    assert np.sqrt(np.mean((streamed - whole) ** 2)) < 0.01 * whole.std()


def test_audio_comes_after_four_frames_and_goes_on_to_the_end(models: dict[str, QwenTts]) -> None:
    model = models["custom_voice"]
    lengths = [len(piece) // 1920 for piece in model.speak(TEXT, manner_of(model))]
    # As many frames as the settings allow for 7 tokens, and one more step for the last of them.
    assert lengths == [0, 0, 0, 4, *[0] * 7, 8, 0, 1]


def test_a_step_is_a_frame_and_nothing_is_computed_after_a_cancel(models: dict[str, QwenTts]) -> None:
    model, calls = models["custom_voice"], list[int]()

    def count(*_: object) -> None:
        calls.append(1)

    hook = model.talker.register_forward_hook(count)
    try:
        pieces = model.speak(TEXT, manner_of(model))
        next(pieces)
        # The prompt and the first frame.
        assert len(calls) == 2
        next(pieces)
        assert len(calls) == 3
        close(pieces)
        assert list(pieces) == []
        assert len(calls) == 3
    finally:
        hook.remove()


def close(pieces: Iterator[Samples]) -> None:
    pieces.close()  # pyright: ignore[reportAttributeAccessIssue] # a generator


def test_streams_that_take_turns_sound_as_each_alone(models: dict[str, QwenTts]) -> None:
    model = models["custom_voice"]
    asked = [
        ("No.", Manner("ryan", "english")),
        (OTHER, Manner("eric", "chinese")),
        ("No.", Manner("vivian", "english")),
    ]
    alone = [list(model.speak(*one)) for one in asked]
    together = list[list[Samples]]([] for _ in asked)
    running = {index: model.speak(*one) for index, one in enumerate(asked)}
    while running:
        for index, pieces in list(running.items()):
            torch.rand(3)  # the process draws numbers of its own
            piece = next(pieces, None)
            if piece is None:
                del running[index]
            else:
                together[index].append(piece)
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(np.concatenate(one), np.concatenate(other))
    assert not np.array_equal(np.concatenate(alone[0]), np.concatenate(alone[2]))


def test_speaking_leaves_the_random_numbers_of_the_process_alone(models: dict[str, QwenTts]) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    list(models["custom_voice"].speak(OTHER, Manner("ryan", "english")))
    assert torch.equal(torch.rand(3), expected)


def test_bfloat16_as_on_a_gpu_speaks_too(checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def on_gpu(_: str) -> torch.dtype:
        return dtype_of("cuda:0")

    monkeypatch.setattr("voxmesh_tts_qwen_tts.model.dtype_of", on_gpu)
    model = QwenTts(checkpoints["base"], "cpu", SHORT)
    assert model._package.model.dtype == model.codec.dtype == torch.bfloat16
    samples = np.concatenate(list(model.speak(OTHER, manner_of(model))))
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert samples.std() > 0.01


def test_what_the_package_prints_goes_nowhere(
    models: dict[str, QwenTts], checkpoints: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    # It prints when it is imported without flash-attn, and of a recording that is too loud.
    noisy = importlib.import_module("qwen_tts.core.tokenizer_25hz.vq.whisper_encoder")
    importlib.reload(noisy)
    assert "flash-attn" in capfd.readouterr().out
    with quiet():
        importlib.reload(noisy)
    QwenTts(checkpoints["custom_voice"], "cpu", SHORT)
    list(models["base"].speak(OTHER, manner_of(models["base"])))
    assert capfd.readouterr() == ("", "")


def test_nothing_stays_behind_of_what_stood_in_for_other_libraries() -> None:
    standing_in = [name for name in ("torchaudio", "sox", "onnxruntime") if name in sys.modules]
    assert all(hasattr(sys.modules[name], "__file__") for name in standing_in)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model_type": "qwen3"}, "is a model of type qwen3"),
        ({"tokenizer_type": "qwen3_tts_tokenizer_25hz"}, "only qwen3_tts_tokenizer_12hz is known"),
        ({"tts_model_type": "other"}, "is a other model, and only custom_voice"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(
    checkpoints: dict[str, Path], tmp_path: Path, change: dict[str, str], problem: str
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(checkpoints["custom_voice"], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(FailedPrecondition, match=problem):
        load_model(PUBLISHED.find(str(folder)), EngineContext(device="cpu"), SHORT)


def test_a_damaged_file_is_refused(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoints["custom_voice"], folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(FailedPrecondition, match="damaged' cannot be loaded"):
        load_model(PUBLISHED.find(str(folder)), EngineContext(device="cpu"), SHORT)
