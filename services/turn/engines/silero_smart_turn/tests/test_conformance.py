"""The engine passes the slot's suite."""

from __future__ import annotations

import pytest

from voxmesh_testing.words import WordConformance

pytestmark = pytest.mark.engine


class TestSileroSmartTurn(WordConformance):
    """Silero VAD, Smart Turn and SmolLM2."""

    engine = "silero_smart_turn"
