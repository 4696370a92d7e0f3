"""Qwen3-TTS passes the suite of its slot, by the true package on a small checkpoint with random weights."""

from __future__ import annotations

import pytest

from voxmesh_tts.conformance import TtsConformance
from voxmesh_tts.engine import Engine

pytestmark = pytest.mark.engine


class TestQwenTts(TtsConformance):
    """Every rule; the model speaks noise, as long as its text allows."""

    @pytest.fixture(autouse=True)
    def _loaded(self, engines: dict[str, Engine]) -> None:
        self._engine = engines["custom_voice"]

    def engine(self) -> Engine:
        """The engine under test."""
        return self._engine
