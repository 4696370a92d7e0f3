"""Batches, windows and arrangements of graphs change nothing in what is decoded."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from voxmesh_stt.utterances import Hypothesis
from voxmesh_stt_indic_conformer.files import Decoder, ModelFolder
from voxmesh_stt_indic_conformer.graphs import Array, Loader
from voxmesh_stt_indic_conformer.mel import log_mel
from voxmesh_stt_indic_conformer.model import Model, Speech
from voxmesh_stt_indic_conformer.network import Encoder

pytestmark = pytest.mark.unit

CLIPS = ("numbers", "counting", "two", "greeting", "claude")
DECODERS = pytest.mark.parametrize("decoder", ["rnnt", "ctc"])

GetModel = Callable[[Decoder], Model]
GetClip = Callable[[str], Speech]
GetText = Callable[[str], str]


@DECODERS
@pytest.mark.parametrize("name", ["numbers", "greeting", "counting", "two", "four"])
def test_words_are_recognised(decoder: Decoder, name: str, model: GetModel, clip: GetClip, text: GetText) -> None:
    (found,) = model(decoder).transcribe([clip(name)])
    assert found.text == text(name)
    assert found.language_code == clip(name).language
    assert found.confidence is not None
    assert 0.5 < found.confidence <= 1


@DECODERS
def test_a_batch_of_lengths_and_languages_equals_single_utterances(
    decoder: Decoder, model: GetModel, clip: GetClip
) -> None:
    batch = [clip(name) for name in CLIPS]
    together = model(decoder).transcribe(batch)
    for one, speech in zip(together, batch, strict=True):
        (alone,) = model(decoder).transcribe([speech])
        _assert_same(one, alone)


def test_rnnt_finds_what_the_published_loop_finds(model: GetModel, clip: GetClip, words: Path) -> None:
    for name in CLIPS:
        (found,) = model("rnnt").transcribe([clip(name)])
        assert found.text == _published_rnnt(words, clip(name))


def test_ctc_finds_what_the_published_collapse_finds(model: GetModel, clip: GetClip, words: Path) -> None:
    for name in CLIPS:
        (found,) = model("ctc").transcribe([clip(name)])
        assert found.text == _published_ctc(words, clip(name))


@DECODERS
@pytest.mark.parametrize(("language", "script"), [("hi", "DEVANAGARI"), ("kn", "KANNADA")])
def test_only_letters_of_the_language_are_written(
    decoder: Decoder, language: str, script: str, model: GetModel, clip: GetClip
) -> None:
    for name in CLIPS:
        (found,) = model(decoder).transcribe([replace(clip(name), language=language)])
        letters = found.text.replace(" ", "")
        assert letters
        assert all(unicodedata.name(letter).startswith(script) for letter in letters)


@DECODERS
def test_words_have_their_places(decoder: Decoder, model: GetModel, clip: GetClip, text: GetText) -> None:
    first, second, silence = clip("numbers").samples, clip("greeting").samples, np.zeros(16000, np.float32)
    (found,) = model(decoder).transcribe([Speech(np.concatenate([first, silence, second]), "hi")])
    said = f"{text('numbers')} {text('greeting')}".split()
    heard = [word.text for word in found.words]
    # The small model may lose a vowel before a pause.
    assert len(heard) == len(said)
    assert sum(one == other for one, other in zip(heard, said, strict=True)) >= len(said) - 1
    second_s = (len(first) + len(silence)) / 16000
    assert found.words[4].start_s < len(first) / 16000
    assert found.words[5].start_s == pytest.approx(second_s + 0.2, abs=0.5)
    starts, ends = [word.start_s for word in found.words], [word.end_s for word in found.words]
    assert starts == sorted(starts)
    assert all(start < end for start, end in zip(starts, ends, strict=True))
    assert ends[-1] <= second_s + len(second) / 16000
    assert all(word.confidence is not None and 0 < word.confidence <= 1 for word in found.words)


@DECODERS
def test_silence_has_no_words(decoder: Decoder, model: GetModel) -> None:
    (found,) = model(decoder).transcribe([Speech(np.zeros(800, np.float32), "ta")])
    assert (found.text, found.words, found.confidence) == ("", (), None)


def test_states_of_any_batch_are_used_where_the_graph_takes_them(
    model: GetModel, clip: GetClip, words: Path, tmp_path: Path
) -> None:
    free = _edited(words, tmp_path, "rnnt_decoder", lambda graph: _size(graph, 3, 1, "batch"))
    batch = [clip(name) for name in CLIPS]
    for one, other in zip(free.transcribe(batch), model("rnnt").transcribe(batch), strict=True):
        _assert_same(one, other)


@pytest.mark.parametrize(("name", "axes"), [("joint_post_net_hi", [0]), ("joint_pred", [1]), ("joint_pre_net", [0, 1])])
def test_graphs_that_take_one_row_or_one_batch_are_fed_so(
    name: str, axes: list[int], clip: GetClip, words: Path, tmp_path: Path
) -> None:
    def fix(graph: onnx.GraphProto) -> None:
        for axis in axes:
            _size(graph, 0, axis, 1)

    fixed = _edited(words, tmp_path, name, fix)
    plain = Model(ModelFolder("words", "", words), "rnnt", Loader("cpu", 1))
    batch = [clip(name) for name in CLIPS[:3]]
    for one, other in zip(fixed.transcribe(batch), plain.transcribe(batch), strict=True):
        _assert_same(one, other)


def test_an_encoder_that_takes_one_utterance_is_fed_one(
    model: GetModel, clip: GetClip, words: Path, tmp_path: Path
) -> None:
    fixed = _edited(words, tmp_path, "encoder", lambda graph: _size(graph, 0, 0, 1))
    batch = [clip(name) for name in CLIPS[:3]]
    for one, other in zip(fixed.transcribe(batch), model("rnnt").transcribe(batch), strict=True):
        _assert_same(one, other)


def test_a_joint_that_never_says_blank_ends(words: Path, tmp_path: Path) -> None:
    def babble(graph: onnx.GraphProto) -> None:
        for constant in graph.initializer:
            if constant.name == "scores.half":
                scores = numpy_helper.to_array(constant).copy()
                scores[..., 7] = 200
                constant.CopyFrom(numpy_helper.from_array(scores, constant.name))

    babbling = _edited(words, tmp_path, "joint_post_net_ta", babble)
    (found,) = babbling.transcribe([Speech(np.zeros(16000, np.float32), "ta")])
    steps = 13  # of 101 frames
    assert found.text == "<unused 7>" * 10 * steps


def test_an_encoder_without_masks_sees_no_neighbour_past_the_end(clip: GetClip, words: Path, tmp_path: Path) -> None:
    # The subsampling of the published encoder is like this: its last steps see frames past the end.
    folder = _edited_files(words, tmp_path, "encoder", lambda graph: graph.CopyFrom(_unmasked_encoder(graph)))
    encoder = Encoder(Loader("cpu", 1), folder)
    batch = [log_mel(clip(name).samples) for name in CLIPS]
    for one, features in zip(encoder(batch), batch, strict=True):
        (alone,) = encoder([features])
        np.testing.assert_allclose(one, alone, atol=1e-5)


def _assert_same(one: Hypothesis, other: Hypothesis) -> None:
    assert one.text == other.text
    assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
    assert [(word.text, word.start_s, word.end_s) for word in one.words] == [
        (word.text, word.start_s, word.end_s) for word in other.words
    ]


def _edited(words: Path, folder: Path, name: str, edit: Callable[[onnx.GraphProto], None]) -> Model:
    """The model with one graph changed."""
    return Model(_edited_files(words, folder, name, edit), "rnnt", Loader("cpu", 1))


def _edited_files(words: Path, folder: Path, name: str, edit: Callable[[onnx.GraphProto], None]) -> ModelFolder:
    shutil.copytree(words, folder / "edited")
    path = folder / "edited" / "assets" / f"{name}.onnx"
    graph = onnx.load(path)
    edit(graph.graph)
    onnx.save(graph, path)
    return ModelFolder("edited", "", folder / "edited")


def _size(graph: onnx.GraphProto, put: int, axis: int, size: int | str) -> None:
    dimension = graph.input[put].type.tensor_type.shape.dim[axis]
    dimension.Clear()
    if isinstance(size, int):
        dimension.dim_value = size
    else:
        dimension.dim_param = size


def _unmasked_encoder(graph: onnx.GraphProto) -> onnx.GraphProto:
    """One step each 8 frames, from 15 frames around it, which are no zeros past the end; no masks."""
    kernel = np.zeros((80, 80, 15), np.float32)
    kernel[np.arange(80), np.arange(80)] = 1
    constants = [
        numpy_helper.from_array(kernel, "kernel"),
        numpy_helper.from_array(np.full(80, 0.5, np.float32), "bias"),
        numpy_helper.from_array(np.array([2], np.float32), "offset"),
        numpy_helper.from_array(np.array([7], np.int64), "seven"),
        numpy_helper.from_array(np.array([8], np.int64), "eight"),
    ]
    nodes = [
        helper.make_node("Add", ["audio_signal", "offset"], ["raised"]),
        helper.make_node("Conv", ["raised", "kernel", "bias"], ["outputs"], strides=[8], pads=[7, 7]),
        helper.make_node("Add", ["length", "seven"], ["more"]),
        helper.make_node("Div", ["more", "eight"], ["encoded_lengths"]),
    ]
    outputs = [
        helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", 80, "steps"]),
        helper.make_tensor_value_info("encoded_lengths", TensorProto.INT64, ["batch"]),
    ]
    return helper.make_graph(nodes, "unmasked", list(graph.input), outputs, constants)


def _published_rnnt(words: Path, speech: Speech) -> str:
    """One utterance, frame by frame and token by token, as the model's authors decode."""
    side = _run(words, "joint_enc", {"input": _encoded(words, speech).transpose(0, 2, 1)})[0]
    hidden = cell = np.zeros((2, 1, 64), np.float32)
    tokens = [5632]
    for step in range(side.shape[1]):
        for _ in range(10):
            inputs = {"targets": np.array([tokens[-1:]], np.int32), "target_length": np.array([1], np.int32)}
            states = {"states.1": hidden, "onnx::Slice_3": cell}
            names = ["outputs", "prednet_lengths", "states", "162"]
            output, _, next_hidden, next_cell = _run(words, "rnnt_decoder", {**inputs, **states}, names)
            predicted = _run(words, "joint_pred", {"input": output.transpose(0, 2, 1)})[0]
            joined = _run(words, "joint_pre_net", {"input": side[:, step : step + 1] + predicted})[0]
            token = int(_run(words, f"joint_post_net_{speech.language}", {"input": joined})[0].argmax())
            if token == 256:
                break
            tokens.append(token)
            hidden, cell = next_hidden, next_cell
    return _text(words, speech.language, tokens[1:])


def _published_ctc(words: Path, speech: Speech) -> str:
    scores = _run(words, "ctc_decoder", {"encoder_output": _encoded(words, speech)}, ["logprobs"])[0]
    mask = json.loads((words / "assets" / "language_masks.json").read_text())[speech.language]
    path = scores[0][:, np.array(mask)].argmax(-1)
    changed = path[np.insert(path[1:] != path[:-1], 0, values=True)]
    return _text(words, speech.language, [int(token) for token in changed if token != 256])


def _encoded(words: Path, speech: Speech) -> Array:
    mel = log_mel(speech.samples)[None]
    inputs = {"audio_signal": mel, "length": np.array([mel.shape[2]], np.int64)}
    outputs, steps = _run(words, "encoder", inputs, ["outputs", "encoded_lengths"])
    return outputs[:, :, : int(steps[0])]


@cache
def _session(words: Path, name: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(words / "assets" / f"{name}.onnx", providers=["CPUExecutionProvider"])


def _run(words: Path, name: str, inputs: dict[str, Array], outputs: list[str] | None = None) -> list[Array]:
    found: Any = _session(words, name).run(outputs or ["output"], inputs)
    return found


def _text(words: Path, language: str, tokens: list[int]) -> str:
    vocabulary = json.loads((words / "assets" / "vocab.json").read_text(encoding="utf-8"))[language]
    return "".join(vocabulary[token] for token in tokens).replace("\u2581", " ").strip()
