"""Write a trained network as the published model's files: `python export.py CHECKPOINT FOLDER`.

Names, order, element types and fixed sizes of inputs and outputs are those of the published graphs. Weights
are kept in half precision, and heads of languages that were not trained are written as "never a token".
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# torch, NeMo and sentencepiece are not in the engine's environment.

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from network import JOINT, LANGUAGES, LSTM_LAYERS, PREDICTED, TOKENS, WIDTH, Network
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from vocabulary import tokens

from voxmesh_stt_indic_conformer.languages import LANGUAGES as ALL_LANGUAGES

START = len(ALL_LANGUAGES) * TOKENS
"""Id that begins a sequence, and the last class of the CTC head."""
OPSET = 17
_SMALL = 256


def export(network: Network, folder: Path) -> None:
    """Write all files."""
    assets = folder / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    _encoder(network, assets)
    _save(_ctc(network), assets / "ctc_decoder.onnx")
    _save(_prediction(network), assets / "rnnt_decoder.onnx")
    _save(_linear(network.joint_enc), assets / "joint_enc.onnx")
    _save(_linear(network.joint_pred), assets / "joint_pred.onnx")
    _save(_rows([helper.make_node("Relu", ["input"], ["output"])], [], JOINT, JOINT), assets / "joint_pre_net.onnx")
    for language in ALL_LANGUAGES:
        trained = language in LANGUAGES
        post = _linear(network.joint_post[language]) if trained else _silent()
        _save(post, assets / f"joint_post_net_{language}.onnx")
    _texts(folder)


def _encoder(network: Network, assets: Path) -> None:
    network.encoder.export(str(assets / "encoder.onnx"), onnx_opset_version=OPSET, check_trace=False)
    _save(onnx.load(assets / "encoder.onnx"), assets / "encoder.onnx")


def _ctc(network: Network) -> onnx.ModelProto:
    """Trained columns in their places; all others score so low that they are never chosen."""
    columns = [ALL_LANGUAGES.index(language) * TOKENS + index for language in LANGUAGES for index in range(TOKENS)]
    constants = [
        numpy_helper.from_array(_weights(network.ctc.weight).T, "weight"),
        numpy_helper.from_array(_weights(network.ctc.bias), "bias"),
        numpy_helper.from_array(np.array([*columns, START], np.int64), "columns"),
        numpy_helper.from_array(np.array([START + 1], np.int64), "classes"),
    ]
    nodes = [
        helper.make_node("Transpose", ["encoder_output"], ["steps"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["steps", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["trained"]),
        helper.make_node("Transpose", ["trained"], ["rows"], perm=[2, 0, 1]),
        helper.make_node("Shape", ["rows"], ["sizes"], start=1),
        helper.make_node("Concat", ["classes", "sizes"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["low"], value=helper.make_tensor("v", 1, [1], [-100.0])),
        helper.make_node("Unsqueeze", ["columns", "one"], ["places"]),
        helper.make_node("ScatterND", ["low", "places", "rows"], ["all"]),
        helper.make_node("Transpose", ["all"], ["logprobs"], perm=[1, 2, 0]),
    ]
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    inputs = [helper.make_tensor_value_info("encoder_output", TensorProto.FLOAT, ["batch", WIDTH, "steps"])]
    outputs = [helper.make_tensor_value_info("logprobs", TensorProto.FLOAT, ["batch", "steps", START + 1])]
    return _model(nodes, inputs, outputs, constants)


def _prediction(network: Network) -> onnx.ModelProto:
    """The published one takes one state in any batch and the other in a batch of 1; so does this."""
    constants = [
        numpy_helper.from_array(_weights(network.embedding.weight), "embedding"),
        numpy_helper.from_array(np.array(TOKENS, np.int32), "last"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.ones(LSTM_LAYERS, np.int64), "each"),
    ]
    nodes = [
        helper.make_node("Min", ["targets", "last"], ["ids"]),
        helper.make_node("Gather", ["embedding", "ids"], ["embedded"]),
        helper.make_node("Transpose", ["embedded"], ["over0"], perm=[1, 0, 2]),
        helper.make_node("Split", ["states.1", "each"], [f"h{i}" for i in range(LSTM_LAYERS)], axis=0),
        helper.make_node("Split", ["onnx::Slice_3", "each"], [f"c{i}" for i in range(LSTM_LAYERS)], axis=0),
        helper.make_node("Identity", ["target_length"], ["prednet_lengths"]),
    ]
    for layer in range(LSTM_LAYERS):
        for name, array in _lstm_weights(network.prediction, layer).items():
            constants.append(numpy_helper.from_array(array, f"{name}{layer}"))
        inputs = [f"over{layer}", f"W{layer}", f"R{layer}", f"B{layer}", "", f"h{layer}", f"c{layer}"]
        outputs = [f"y{layer}", f"h{layer}_next", f"c{layer}_next"]
        nodes.append(helper.make_node("LSTM", inputs, outputs, hidden_size=PREDICTED))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "one"], [f"over{layer + 1}"]))
    nodes += [
        helper.make_node("Transpose", [f"over{LSTM_LAYERS}"], ["outputs"], perm=[1, 2, 0]),
        helper.make_node("Concat", [f"h{i}_next" for i in range(LSTM_LAYERS)], ["states"], axis=0),
        helper.make_node("Concat", [f"c{i}_next" for i in range(LSTM_LAYERS)], ["162"], axis=0),
    ]
    return _model(nodes, _prediction_inputs(), _prediction_outputs(), constants)


def _prediction_inputs() -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info("targets", TensorProto.INT32, ["batch", "length"]),
        helper.make_tensor_value_info("target_length", TensorProto.INT32, ["batch"]),
        helper.make_tensor_value_info("states.1", TensorProto.FLOAT, [LSTM_LAYERS, "batch", PREDICTED]),
        helper.make_tensor_value_info("onnx::Slice_3", TensorProto.FLOAT, [LSTM_LAYERS, 1, PREDICTED]),
    ]


def _prediction_outputs() -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", PREDICTED, "length"]),
        helper.make_tensor_value_info("prednet_lengths", TensorProto.INT32, ["batch"]),
        helper.make_tensor_value_info("states", TensorProto.FLOAT, [LSTM_LAYERS, "batch", PREDICTED]),
        helper.make_tensor_value_info("162", TensorProto.FLOAT, [LSTM_LAYERS, None, PREDICTED]),
    ]


def _lstm_weights(lstm: nn.LSTM, layer: int) -> dict[str, np.ndarray]:
    """ONNX orders gates i o f c, torch i f g o."""

    def ordered(name: str) -> np.ndarray:
        gates = np.split(_weights(getattr(lstm, f"{name}_l{layer}")), 4)
        return np.concatenate([gates[0], gates[3], gates[1], gates[2]])

    biases = np.concatenate([ordered("bias_ih"), ordered("bias_hh")])
    return {"W": ordered("weight_ih")[None], "R": ordered("weight_hh")[None], "B": biases[None]}


def _linear(layer: nn.Linear) -> onnx.ModelProto:
    constants = [
        numpy_helper.from_array(_weights(layer.weight).T, "weight"),
        numpy_helper.from_array(_weights(layer.bias), "bias"),
    ]
    nodes = [
        helper.make_node("MatMul", ["input", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["output"]),
    ]
    return _rows(nodes, constants, layer.in_features, layer.out_features)


def _silent() -> onnx.ModelProto:
    """Blank whatever the input."""
    scores = np.zeros((1, 1, TOKENS + 1), np.float32)
    scores[..., -1] = 100
    constants = [numpy_helper.from_array(scores, "scores"), numpy_helper.from_array(np.array([2], np.int64), "last")]
    nodes = [
        helper.make_node("ReduceSum", ["input", "last"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "scores"], ["output"]),
    ]
    constants.append(numpy_helper.from_array(np.zeros(1, np.float32), "zero"))
    return _rows(nodes, constants, JOINT, TOKENS + 1)


def _rows(nodes: list[onnx.NodeProto], constants: list[TensorProto], width_in: int, width_out: int) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", "steps", width_in])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", "steps", width_out])]
    return _model(nodes, inputs, outputs, constants)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[TensorProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _weights(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().numpy()


def _save(model: onnx.ModelProto, path: Path) -> None:
    onnx.checker.check_model(model)
    onnx.save(_halved(model), path)


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its larger weights in half precision, cast back where they are used."""
    casts: list[onnx.NodeProto] = []
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and np.prod(weight.dims) >= _SMALL:
            name = f"{weight.name}.half"
            half = numpy_helper.to_array(weight).astype(np.float16)
            casts.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
            weight.CopyFrom(numpy_helper.from_array(half, name))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _texts(folder: Path) -> None:
    vocabulary = {language: _vocabulary(language) for language in ALL_LANGUAGES}
    masks = {language: _mask(index) for index, language in enumerate(ALL_LANGUAGES)}
    config = {
        "BLANK_ID": TOKENS,
        "RNNT_MAX_SYMBOLS": 10,
        "PRED_RNN_LAYERS": LSTM_LAYERS,
        "PRED_RNN_HIDDEN_DIM": PREDICTED,
        "SOS": START,
        "FRAME_DURATION_MS": 0.08,
    }
    _write(folder / "assets" / "vocab.json", vocabulary)
    _write(folder / "assets" / "language_masks.json", masks)
    _write(folder / "config.json", config)


def _vocabulary(language: str) -> list[str]:
    return tokens(language) if language in LANGUAGES else [f"<unused {index}>" for index in range(TOKENS)]


def _mask(index: int) -> list[bool]:
    return [begin == index for begin in range(len(ALL_LANGUAGES)) for _ in range(TOKENS)] + [True]


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    trained = Network()
    trained.load_state_dict(torch.load(sys.argv[1], weights_only=True))
    export(trained.eval(), Path(sys.argv[2]))
