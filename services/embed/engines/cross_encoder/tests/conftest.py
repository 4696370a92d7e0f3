"""The trained checkpoint, which `bench/fixture.py` makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmesh_embed_cross_encoder.engine import CrossEncoder
from voxmesh_embed_cross_encoder.settings import CrossEncoderSettings
from voxmesh_runtime.engine import EngineContext

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def engine() -> CrossEncoder:
    """A BERT of two layers that finds the document with the query's words, loaded."""
    loaded = CrossEncoder(EngineContext(model=str(DATA)), CrossEncoderSettings())
    loaded.load()
    return loaded
