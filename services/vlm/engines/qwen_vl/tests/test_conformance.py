"""Qwen3-VL does what every engine that looks at pictures must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.vlm import VlmConformance
from voxmesh_vlm_qwen_vl.engine import QwenVlEngine
from voxmesh_vlm_qwen_vl.testing import SETTINGS

pytestmark = pytest.mark.engine


class TestQwenVl(VlmConformance):
    """Every rule, with weights at random: what it reads is judged by its form."""

    engine = "qwen_vl"
    reads_words = False
    settings: ClassVar[dict[str, Any]] = {**VlmConformance.settings, "max_output_tokens": 150}
    checkpoint: ClassVar[Path]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _written(cls, checkpoint: Path) -> None:
        cls.checkpoint = checkpoint

    def create(self) -> QwenVlEngine:
        """The engine with that checkpoint."""
        return QwenVlEngine(EngineContext(model=str(self.checkpoint), device="cpu"), SETTINGS)
