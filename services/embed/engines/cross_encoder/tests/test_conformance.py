"""The cross-encoder engine does what every ranking engine must do, on a small trained network."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh_embed.conformance_rerank import RerankConformance
from voxmesh_runtime.engines import EngineContext

pytestmark = pytest.mark.engine


class TestCrossEncoder(RerankConformance):
    """Every rule; the network was trained to find the document that has the query's words."""

    engine = "cross_encoder"
    context = EngineContext(model=str(Path(__file__).parent / "data"))
