"""Hibari passes the suite of its slot."""

from __future__ import annotations

from functools import cache

import pytest

from voxmesh_runtime.engines import EngineContext, load_engine
from voxmesh_tts.conformance import TtsConformance
from voxmesh_tts.engine import Engine

pytestmark = pytest.mark.engine


class LoadedOnce:
    """The engine, loaded for the first test and kept for the others."""

    def __init__(self, engine: Engine) -> None:
        engine.load()
        self.info = engine.info
        self.open = engine.open
        self.load = self.warm_up = self.close = lambda: None


@cache
def hibari() -> LoadedOnce:
    """The engine with its default model."""
    return LoadedOnce(load_engine("tts", "hibari")(EngineContext()))


class TestHibari(TtsConformance):
    """Hibari with the voice in its package."""

    def engine(self) -> Engine:
        """The engine under test."""
        return hibari()
