"""The Qwen3-Embedding engine does what every embedding engine must do, on random weights of its architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.embed import EmbedConformance

pytestmark = pytest.mark.engine


class TestQwenEmbedding(EmbedConformance):
    """Every rule but the one of meaning."""

    engine = "qwen_embedding"
    means_something = False
    least_batch_cosine = 0.99999

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _checkpoint(cls, checkpoint: Path) -> None:
        cls.context = EngineContext(model=str(checkpoint))
