"""The Qwen3-Reranker engine does what every ranking engine must do, on random weights of its architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.rerank import RerankConformance

pytestmark = pytest.mark.engine


class TestQwenReranker(RerankConformance):
    """Every rule but the one of meaning."""

    engine = "qwen_reranker"
    means_something = False

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _checkpoint(cls, checkpoint: Path) -> None:
        cls.context = EngineContext(model=str(checkpoint))
