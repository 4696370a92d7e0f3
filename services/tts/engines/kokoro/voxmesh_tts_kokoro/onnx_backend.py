"""Kokoro by ONNX Runtime: no torch, and the durations that the exported graph keeps to itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from hibari.tts import ASSETS
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from voxmesh_tts_kokoro.backend import Spoken, Stop, Style

DURATIONS = "/encoder/Clip_output_0"
"""What the graph rounds durations to; its export names no output for it."""


class OnnxBackend:
    """See `voxmesh_tts_kokoro.backend.Backend`.

    Args:
        model: the serialized graph: inputs phonemes, style and rate, output audio.
        threads: of one call.
    """

    def __init__(self, model: bytes, threads: int) -> None:
        try:
            self._session = _session(model + graph_output(DURATIONS), threads)
        except Fail:
            # Another export, whose nodes have other names.
            self._session = _session(model, threads)
        self._inputs = [one.name for one in self._session.get_inputs()]
        self.has_durations = len(self._session.get_outputs()) > 1
        self.vocabulary = vocabulary()

    def speak(self, phonemes: str, style: Style, rate: float, stop: Stop | None = None) -> Spoken:
        """See `voxmesh_tts_kokoro.backend.Backend.speak`."""
        numbers = np.array([[0, *(self.vocabulary[phoneme] for phoneme in phonemes), 0]], np.int64)
        values = (numbers, style[np.newaxis], np.array([rate], np.float32))
        options = onnxruntime.RunOptions()
        if stop is not None:
            # Between two nodes of the graph.
            stop.ends_with(lambda: setattr(options, "terminate", True))
        outputs = self._session.run(None, dict(zip(self._inputs, values, strict=True)), options)
        samples, *durations = map(np.asarray, outputs)
        frames = durations[0].ravel().astype(np.int64) if durations else None
        return Spoken(samples.ravel(), frames)


def vocabulary() -> Mapping[str, int]:
    """The phonemes of the published model and their numbers, which hibari has from it."""
    return json.loads((Path(ASSETS) / "vocab.json").read_text("utf-8"))


def graph_output(name: str) -> bytes:
    """What makes the value `name` an output when it is written after a serialized model.

    Protocol buffers merge a message that comes twice, so this is a model whose graph has but
    this output: graph (field 7), output (12), name (1), type (2), tensor (1) of float (1).
    """

    def message(field: int, content: bytes) -> bytes:
        return bytes([field << 3 | 2, len(content)]) + content

    of_floats = message(2, message(1, b"\x08\x01"))
    return message(7, message(12, message(1, name.encode()) + of_floats))


def _session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that wait busily would take the CPU from the other services of the mesh.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
