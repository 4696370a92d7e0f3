"""A chat server behind the engine does what every engine that looks at pictures must do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from voxmesh_runtime.engines import EngineContext
from voxmesh_vlm.conformance import LoadedOnce, VlmConformance
from voxmesh_vlm_openai_vision.engine import OpenAiVisionEngine
from voxmesh_vlm_openai_vision.settings import OpenAiVisionSettings
from voxmesh_vlm_openai_vision.testing import chat_server
from voxmesh_vlm_openai_vision.testing_eyes import Eyes

pytestmark = pytest.mark.engine


class TestOpenAiVision(VlmConformance):
    """Every rule, with real pictures that a real reader behind a real HTTP server reads."""

    engine = "openai_vision"
    kept: ClassVar[LoadedOnce]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        with chat_server(Eyes().answer) as server:
            engine = OpenAiVisionEngine(EngineContext(), OpenAiVisionSettings(base_url=server.url))
            cls.kept = LoadedOnce(engine)
            yield
            engine.close()

    @property
    def loaded(self) -> LoadedOnce:
        return self.kept
