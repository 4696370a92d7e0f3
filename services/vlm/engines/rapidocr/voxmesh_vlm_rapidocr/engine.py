"""RapidOCR as an engine of the vision-language service: it reads text and does nothing else."""

from __future__ import annotations

import cv2
import numpy as np

from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import FailedPrecondition, Unimplemented
from voxmesh_vlm.engine import Analysis, AnalysisRequest, EngineInfo, Task
from voxmesh_vlm_rapidocr.reader import Reader

MODEL = "PP-OCRv6 (small)"


class RapidOcrEngine:
    """One reader for all streams; see `voxmesh_vlm.engine.Engine`."""

    def __init__(self, context: EngineContext) -> None:
        if context.model not in {None, MODEL}:
            problem = f"rapidocr reads with the model in its package only, {MODEL}; leave the setting out"
            raise FailedPrecondition("model", str(context.model), problem)
        self._threads = context.threads
        self._reader: Reader | None = None
        self.info = EngineInfo(_facts(context.device), frozenset({Task.READ_TEXT}))

    def load(self) -> None:
        """Load the model; does nothing when it is loaded."""
        if self._reader is None:
            self._reader = Reader(self._threads)

    def warm_up(self) -> None:
        """Read a word, which loads all three models."""
        picture = np.full((96, 320, 3), 255, np.uint8)
        cv2.putText(picture, "warm up", (32, 64), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3)
        request = AnalysisRequest((picture,), Task.READ_TEXT)
        list(self.analyze(request))

    def analyze(self, request: AnalysisRequest) -> Analysis:
        """The lines of text, picture after picture.

        Raises:
            Unimplemented: anything but reading is asked for.
        """
        if request.task is not Task.READ_TEXT:
            raise Unimplemented("TASK_ANSWER", "rapidocr reads text and cannot answer")
        if self._reader is None:
            raise RuntimeError("load() comes before the first use")
        for index, picture in enumerate(request.pictures):
            yield from self._reader.read(index, picture)

    def close(self) -> None:
        """Free the model."""
        self._reader = None


def _facts(device: str) -> ModelFacts:
    return ModelFacts(
        model=MODEL,
        license="Apache-2.0",
        device_reason="" if device in {"auto", "cpu"} else f"the engine runs on the CPU only, not on {device}",
        language_codes=("zh", "ja", "en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "da", "nb", "tr"),
    )
