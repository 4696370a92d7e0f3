"""The engine passes the slot's suite."""

from __future__ import annotations

from typing import Any

import pytest

from voxmesh_runtime.engines import EngineContext, load_engine
from voxmesh_runtime.settings import ServerSettings
from voxmesh_turn.conformance_words import WordConformance
from voxmesh_turn.servicer import TurnService
from voxmesh_turn.settings import TurnSettings

pytestmark = pytest.mark.engine


class TestSileroSmartTurn(WordConformance):
    """Silero VAD, Smart Turn and SmolLM2."""

    def server_settings(self, **changes: Any) -> TurnSettings:
        return TurnSettings(**{**self.settings, **changes})

    def service(self, settings: ServerSettings) -> TurnService:
        assert isinstance(settings, TurnSettings)
        engine = load_engine("turn", "silero_smart_turn")(EngineContext.from_settings(settings))
        return TurnService(engine, settings)
