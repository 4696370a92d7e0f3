"""Graphs of the model as onnxruntime runs them, whatever batch sizes they were exported for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]


def accelerator() -> str | None:
    """The GPU that onnxruntime was built for, if there is one."""
    if CUDA not in onnxruntime.get_available_providers():
        return None
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    has_device = Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists() or bool(hidden)
    return "cuda:0" if has_device and hidden not in {"", "-1"} else None


@dataclass(frozen=True, slots=True)
class Loader:
    """Opens graphs on one device."""

    device: str
    """`cpu` or `cuda:<index>`."""
    threads: int

    def open(self, path: Path, *, on_cpu: bool = False) -> Graph:
        """A graph, ready to run; `on_cpu` keeps one there whose many small runs would wait for the GPU.

        Raises:
            RuntimeError: onnxruntime cannot use the device.
            Exception: any of onnxruntime's; the file holds no graph that it can run.
        """
        if self.device == "cpu" or on_cpu:
            return Graph(self._session(path, [CPU]))
        session = self._session(path, [(CUDA, _cuda_options(self.device)), CPU])
        # onnxruntime falls back in silence, and the engine shall say where it runs.
        if CUDA not in session.get_providers():
            raise RuntimeError(f"onnxruntime runs {path.name} on {', '.join(session.get_providers())} alone")
        return Graph(session)

    def _session(self, path: Path, providers: Sequence[Any]) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Plans of memory are kept for each shape, and each utterance has another.
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(path, options, providers=providers)


def _cuda_options(device: str) -> dict[str, str]:
    return {
        "device_id": device.partition(":")[2] or "0",
        # An exhaustive search takes most of a minute for each new length of audio.
        "cudnn_conv_algo_search": "DEFAULT",
        "cudnn_conv1d_pad_to_nc1d": "1",
        "arena_extend_strategy": "kSameAsRequested",
    }


class Graph:
    """A graph whose inputs and outputs are taken by place, since exports name some of them by number."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._names = [put.name for put in session.get_inputs()]
        self.shapes: list[list[int | str | None]] = [list(put.shape) for put in session.get_inputs()]

    def run(self, *inputs: Array) -> list[Array]:
        """All outputs, in order."""
        # `strict` tells of a graph with other inputs than the model's.
        outputs: Any = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return outputs

    def is_free(self, put: int, axis: int) -> bool:
        """Whether an input takes any size along an axis."""
        return not isinstance(self.shapes[put][axis], int)


class RowWise:
    """A graph that treats each of its rows alike: [rows, width] in and out, however it wants them arranged."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __call__(self, rows: Floats) -> Floats:
        """The graph's output for each row."""
        if self._graph.is_free(0, 0):
            return self._graph.run(rows[:, None])[0][:, 0]
        if self._graph.is_free(0, 1):
            return self._graph.run(rows[None])[0][0]
        return np.concatenate([self._graph.run(row[None, None])[0][0] for row in rows])
