"""Qwen3-VL as an engine of the vision-language service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.models import Checkpoint
from voxmesh_vlm.engine import Analysis, AnalysisRequest, EngineInfo, Task
from voxmesh_vlm_qwen_vl.checkpoint import PUBLISHED
from voxmesh_vlm_qwen_vl.settings import QwenVlSettings

if TYPE_CHECKING:
    # Importing the libraries takes seconds, in which the server should already say that it loads.
    from voxmesh_vlm_qwen_vl.seeing import Seeing


class QwenVlEngine:
    """One model for all streams; see `voxmesh_vlm.engine.Engine`."""

    def __init__(self, context: EngineContext, settings: QwenVlSettings) -> None:
        self._context = context
        self._settings = settings
        self._checkpoint = PUBLISHED.find(context.model)
        self._seeing: Seeing | None = None
        self.info = _info(self._checkpoint)

    def load(self) -> None:
        """Load the model; does nothing when it is loaded.

        Raises:
            ModelError: its files are not to be had.
            FailedPrecondition: they are none of such a model, or the operator's device fails.
        """
        if self._seeing is not None:
            return
        from voxmesh_vlm_qwen_vl.loading import load_model  # noqa: PLC0415 # as above
        from voxmesh_vlm_qwen_vl.seeing import Seeing  # noqa: PLC0415 # as above

        found = load_model(self._checkpoint, self._context, self._settings)
        self._seeing = Seeing(found.model, self._settings)
        self.info = _info(self._checkpoint, found.device, found.reason)

    def warm_up(self) -> None:
        """Look at a grey square and say a few words of it, free and by a schema."""
        square = np.full((64, 64, 3), 128, np.uint8)
        for schema in (None, {"type": "object"}):
            request = AnalysisRequest((square,), Task.ANSWER, response_schema=schema, max_output_tokens=4)
            list(self.analyze(request))

    def analyze(self, request: AnalysisRequest) -> Analysis:
        """The outputs of one analysis; a step is a token, the first also the reading of the prompt.

        Raises:
            InvalidArgument: prompt and pictures are longer than the model's context, or the schema cannot be kept.
        """
        if self._seeing is None:
            raise RuntimeError("load() comes before the first use")
        steps = self._seeing.read if request.task is Task.READ_TEXT else self._seeing.answer
        return steps(request)

    def close(self) -> None:
        """Free the model."""
        self._seeing = None


def _info(checkpoint: Checkpoint, device: str = "cpu", reason: str = "") -> EngineInfo:
    facts = ModelFacts(
        model=checkpoint.name,
        license=checkpoint.license,
        device=device,
        device_reason=reason,
    )
    return EngineInfo(facts, frozenset(Task), structured_results=True, video=True)
