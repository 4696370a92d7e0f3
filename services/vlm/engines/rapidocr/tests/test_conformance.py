"""RapidOCR passes the suite of its slot."""

from __future__ import annotations

import pytest

from voxmesh_testing.vlm import VlmConformance

pytestmark = pytest.mark.engine


class TestRapidOcr(VlmConformance):
    """RapidOCR with the models in its package."""

    engine = "rapidocr"
