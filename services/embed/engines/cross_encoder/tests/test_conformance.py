"""The cross-encoder engine does what every ranking engine must do, on a small trained network."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_testing.rerank import RerankConformance

pytestmark = pytest.mark.engine


class TestCrossEncoder(RerankConformance):
    """Every rule; the network was trained to find the document that has the query's words."""

    engine = "cross_encoder"
    context = EngineContext(model=str(Path(__file__).parent / "data"))
