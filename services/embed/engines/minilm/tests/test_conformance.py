"""MiniLM passes the suite of its slot."""

from __future__ import annotations

import pytest

from voxmesh_testing.embed import EmbedConformance

pytestmark = pytest.mark.engine


class TestMiniLm(EmbedConformance):
    """MiniLM with its default model."""

    engine = "minilm"
    least_batch_cosine = 0.99999
