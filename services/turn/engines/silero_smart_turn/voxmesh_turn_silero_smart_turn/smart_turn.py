"""Smart Turn: whether a person has finished, from how the last eight seconds sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import WheelMember
from voxmesh_turn_silero_smart_turn.features import SAMPLE_RATE_HERTZ, log_mel

__all__ = ["DEFAULT_SOURCE", "SAMPLE_RATE_HERTZ", "TURN_S", "SmartTurn"]

TURN_S = 8.0
"""Audio that the model takes; a shorter turn stands at its end, after zeros."""

DEFAULT_SOURCE = WheelMember(
    distribution="pipecat-ai",
    version="1.14.0",
    member="pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
    sha256="2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
)

_INPUT = "input_features"
_TURN_SAMPLES = round(TURN_S * SAMPLE_RATE_HERTZ)


class SmartTurn:
    """The loaded model; its calls block.

    Args:
        path: ONNX file.
        threads: CPU threads of one call.

    Raises:
        FailedPrecondition: the file is no Smart Turn v3 model.
    """

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common type but this
            raise FailedPrecondition("model", str(path), f"{path} cannot be loaded as an ONNX model") from error
        inputs = [entry.name for entry in self._session.get_inputs()]
        if inputs != [_INPUT]:
            raise FailedPrecondition("model", str(path), f"{path} is no Smart Turn v3 model: its inputs are {inputs}")

    def probability(self, turn: Samples) -> float:
        """The probability in [0, 1] that a turn at 16 kHz is over; of a long one the end counts."""
        heard = turn[-_TURN_SAMPLES:]
        padded = np.pad(heard, (_TURN_SAMPLES - len(heard), 0))
        outputs = self._session.run(None, {_INPUT: log_mel(padded)[np.newaxis]})
        return float(np.clip(np.asarray(outputs[0]).item(), 0.0, 1.0))

    def warm_up(self) -> None:
        """Run on silence."""
        self.probability(np.zeros(_TURN_SAMPLES, np.float32))
